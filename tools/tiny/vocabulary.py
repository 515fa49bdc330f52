r"""The tokenizer: byte-level BPE for words, and whole titles, together with what ends them, as single tokens.

Text is cut into chunks first. A chunk may hold several words: it goes on at a blank only before a small letter, so
that " Stock and inventory clerks" is one chunk while a title after other words begins one of its own, and it takes
along what ends it ("\n", " [", " (", ":", "):"). Frequent chunks are tokens as they are; all others are cut into the
pieces of an ordinary BPE of words. Tokens longer than words: Liu et al. (2025), SuperBPE, arXiv 2503.13423.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tokenizers.pre_tokenizers import ByteLevel, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SIZE = 3584
WORD_PIECES = 1800
CONTEXT = 1024
BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
# What follows titles in the default wordings; each title is one token together with each of them.
TERMINATORS = ("\n", " [")

_LETTER = r"[\p{L}\p{M}_'’/&.,-]"
_END = r"(?: [\[(]|[)\]]*[:;]?\n?)"
_CHUNKS = "|".join(
    (
        # Words that begin with a blank or a capital go on before small letters; others end at the blank, so that the
        # name of a field and its value stay apart.
        rf"(?: \p{{L}}|\p{{Lu}}){_LETTER}*(?: (?=[\p{{Ll}}&]){_LETTER}+)*{_END}",
        rf"\p{{L}}{_LETTER}*{_END}",
        r" ?[0-9]{1,4}",
        r"\.[0-9]{1,4}",
        r" ?[\[({<]",
        r"[)\]]+[:;,.]*\n?",
        r" ?[^\s\p{L}\p{N}]\n?",
        r"[\s\S]",
    )
)
_WORDS = r" ?\p{L}+| ?[0-9]{1,4}| ?[^\s\p{L}\p{N}]+\n?|[\s\S]"


def build_tokenizer(texts: Sequence[str], titles: Iterable[str]) -> Tokenizer:
    """Learn word pieces from texts and add whole chunks: titles with their terminators first, then frequent ones."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = _cut(_WORDS)
    trainer = trainers.BpeTrainer(
        vocab_size=WORD_PIECES,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    words.train_from_iterator([*texts, *(f" {title}\n" for title in titles for _ in range(5))], trainer)
    learnt = json.loads(words.to_str())["model"]
    vocabulary: dict[str, int] = learnt["vocab"]

    cutter = _cut(_CHUNKS)
    wanted = [piece for title in titles for mark in TERMINATORS for piece, _ in _pieces(cutter, f" {title}{mark}")]
    numbers = [piece for n in (*range(100), *range(1940, 2031)) for piece, _ in _pieces(cutter, f"{n}: {n}")]
    # By documents, not by occurrences: what a single document repeats is of no use to others.
    counts = Counter(piece for text in texts for piece in {piece for piece, _ in _pieces(cutter, text)})
    frequent = [piece for piece, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    for piece in (*wanted, *numbers, *frequent):
        if len(vocabulary) == SIZE:
            break
        vocabulary.setdefault(piece, len(vocabulary))

    merges = [tuple(pair) for pair in learnt["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = cutter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, vocabulary[BEGIN])]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (PAD, BEGIN, END)])
    return tokenizer


def word_pieces(tokenizer: Tokenizer) -> dict[int, list[int]]:
    """Of every token that is a whole chunk: the pieces that it would be without a token of its own."""
    state = json.loads(tokenizer.to_str())
    state["model"]["ignore_merges"] = False
    plain = Tokenizer.from_str(json.dumps(state))
    special = {tokenizer.token_to_id(token) for token in (PAD, BEGIN, END)}
    found = {}
    for i in range(tokenizer.get_vocab_size()):
        parts = plain.encode(tokenizer.decode([i], skip_special_tokens=False), add_special_tokens=False).ids
        if len(parts) > 1 and i not in special:
            found[i] = parts
    return found


def wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers writes and loads it."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def single_token_share(tokenizer: Tokenizer, titles: Sequence[str]) -> float:
    """Share of titles that are one token together with each terminator."""
    forms = [f" {title}{mark}" for title in titles for mark in TERMINATORS]
    return sum(len(tokenizer.encode(form, add_special_tokens=False).ids) == 1 for form in forms) / len(forms)


def _cut(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [Split(Regex(pattern), behavior="isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def _pieces(cutter: pre_tokenizers.PreTokenizer, text: str) -> list[tuple[str, tuple[int, int]]]:
    return cutter.pre_tokenize_str(text)

"""Random language models small enough to make in a test, tokenizers of their own, and texts with labels."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import transformers as tf
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

import econllm as el
from econllm.encoders.language import LanguageModel, context_of, load_language_model
from econllm.encoders.network import no_loading_bar
from econllm.llm.decoder import Decoder
from econllm.llm.trie import Trie
from tests.career.samples import TITLES

VOCABULARY = 384
CONTEXT = 256
_PLAIN = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
    "max_position_embeddings": CONTEXT,
}
SIZES = {**_PLAIN, "intermediate_size": 48, "num_key_value_heads": 2}
_HEADS = {**SIZES, "head_dim": 8}
_GPT2 = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
_ENDS = {"bos_token_id": 0, "eos_token_id": 1}
# Those that can be read as a tree, and those that cannot.
FAMILIES = {
    "llama": lambda: tf.LlamaConfig(**SIZES),
    "gpt2": lambda: tf.GPT2Config(**_GPT2, **_ENDS),
    "gpt_neox": lambda: tf.GPTNeoXConfig(**_PLAIN, intermediate_size=48),
    "qwen2": lambda: tf.Qwen2Config(**SIZES),
    "qwen3": lambda: tf.Qwen3Config(**_HEADS),
    "gemma": lambda: tf.GemmaConfig(**_HEADS),
    "phi3": lambda: tf.Phi3Config(**SIZES),
    "olmo2": lambda: tf.Olmo2Config(**SIZES),
    "opt": lambda: tf.OPTConfig(**_PLAIN, ffn_dim=48, word_embed_proj_dim=32),
    "cohere": lambda: tf.CohereConfig(**SIZES),
    "granite": lambda: tf.GraniteConfig(**SIZES, logits_scaling=3.0),
    "gemma2": lambda: tf.Gemma2Config(**_HEADS, sliding_window=16),
    "gemma3": lambda: tf.Gemma3TextConfig(
        **_HEADS, sliding_window=16, layer_types=["sliding_attention", "full_attention"]
    ),
    "mistral": lambda: tf.MistralConfig(**SIZES, sliding_window=16),
    "phi3 window": lambda: tf.Phi3Config(**SIZES, sliding_window=16),
}
_SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32}
SLOW_FAMILIES = {
    "gpt_neo": lambda: tf.GPTNeoConfig(
        **_SMALL, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], window_size=16, **_ENDS
    ),
    "bloom": lambda: tf.BloomConfig(**_SMALL, n_layer=2, n_head=4),
    "mpt": lambda: tf.MptConfig(vocab_size=VOCABULARY, d_model=32, n_layers=2, n_heads=4),
    "mamba": lambda: tf.MambaConfig(**_SMALL, num_hidden_layers=2),
}


def network(family: str = "llama", dtype: torch.dtype = torch.float64, seed: int = 0):
    """A random network whose matrices are larger than at the start of a training, so that everything matters."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = {**FAMILIES, **SLOW_FAMILIES}[family]()
        found = tf.AutoModelForCausalLM.from_config(config).to(dtype).eval()
        with torch.no_grad():
            for name, parameter in found.named_parameters():
                # What decides how long a state lasts must stay where it was made.
                if parameter.ndim == 2 and not name.endswith("A_log"):
                    parameter.copy_(parameter * 0.25 / parameter.std())
    return found


def decoder(family: str = "llama", dtype: torch.dtype = torch.float64, seed: int = 0, soft: int = 0):
    """A decoder with a random network, and random vectors in front of every text."""
    found = network(family, dtype, seed)
    vectors = None
    if soft:
        width = found.get_input_embeddings().weight.shape[1]
        vectors = torch.randn(soft, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return Decoder(found, vectors).eval()


def sequences(count: int, seed: int = 0, letters: int = 12, longest: int = 4) -> list[tuple[int, ...]]:
    """Distinct sequences of tokens with much in common, each with the token 1 at its end and nowhere else."""
    g = np.random.default_rng(seed)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        found[(*map(int, g.integers(2, 2 + letters, g.integers(1, longest + 1))), 1)] = None
    return list(found)


def trie(count: int = 40, seed: int = 0, **sizes: int) -> Trie:
    return Trie.of(sequences(count, seed, **sizes))


def text(length: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(2, VOCABULARY, length)


CORPUS = [
    "The career of one person in a longitudinal survey.\n",
    *(f"About this person: sex: {sex}; birth: {1960 + k}.\n" for sex in "fm" for k in range(15)),
    *(f"{1990 + k} (region: east; educ: {8 + k}): {title}\n" for k in range(10) for title in TITLES.values()),
    *(f"{title} [hours: {30 + k}.5; sector: public]\n" for k in range(10) for title in TITLES.values()),
    "Sales rose and profits fell in the quarter.\ntone: good\n",
]


@functools.cache
def tokenizer(kind: str = "usual"):
    """A byte-level tokenizer.

    "usual" splits words from blanks and marks, as GPT-2 does; "joining" may merge anything, so that ": " is one token;
    "bare" is the usual one without special tokens.
    """
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind != "joining")
    raw.decoder = decoders.ByteLevel()
    special = [] if kind == "bare" else ["<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(CORPUS, trainer)
    if kind == "bare":
        return tf.PreTrainedTokenizerFast(tokenizer_object=raw)
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>")


@functools.cache
def folder(family: str = "llama", kind: str = "usual", seed: int = 0, context: int = CONTEXT) -> str:
    """A random language model on disk, the same folder for the same arguments; it goes with the session."""
    found = network(family, torch.float32, seed)
    if context != CONTEXT:
        found.config.max_position_embeddings = context
    return save(found, tokenizer(kind))


def save(found, tokens) -> str:
    """Write a network and a tokenizer into a folder that goes with the session."""
    place = tempfile.TemporaryDirectory(prefix="econllm-llm-")
    _FOLDERS.append(place)
    with no_loading_bar():
        found.save_pretrained(place.name)
    tokens.save_pretrained(place.name)
    return place.name


_FOLDERS: list[tempfile.TemporaryDirectory] = []


def language(family: str = "llama", kind: str = "usual", dtype: str = "float64") -> LanguageModel:
    return load_language_model(folder(family, kind), None, dtype, "cpu")


# P(next token | token) by hand: .5 x .6 x .8 = .24 for the title of two words, .4 x .9 = .36 for that of one.
WORDS = ["<s>", "</s>", "\n", ":", " Data", " scientist", " Cook", "tone", "I", "x", " good", "<unk>"]
CHANCES = {
    ":": {" Data": 0.5, " Cook": 0.4},
    " Data": {" scientist": 0.6},
    " scientist": {"\n": 0.8},
    " Cook": {"\n": 0.9},
}


def handmade_tokenizer():
    """Whole words with the blank before them."""
    raw = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?[A-Za-z]+|\n|."), "isolated")
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def handmade_network(dtype: torch.dtype = torch.float64):
    """A Llama whose blocks add nothing, and whose head gives the chances above after the last token alone."""
    size = len(WORDS)
    config = tf.LlamaConfig(
        vocab_size=size, hidden_size=size, intermediate_size=4, num_hidden_layers=1, num_attention_heads=2,
        rms_norm_eps=0.0, tie_word_embeddings=False, max_position_embeddings=64, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    found = tf.LlamaForCausalLM(config).to(dtype).eval()
    chances = np.zeros((size, size))
    for before, after in CHANCES.items():
        for word, share in after.items():
            chances[WORDS.index(before), WORDS.index(word)] = share
    rest = chances == 0
    chances += rest * ((1 - chances.sum(axis=1)) / rest.sum(axis=1))[:, None]
    with torch.no_grad():
        for parameter in found.model.layers.parameters():
            parameter.zero_()
        for layer in found.model.layers:
            # Of what a normalisation of nothing would divide by.
            layer.input_layernorm.variance_epsilon = layer.post_attention_layernorm.variance_epsilon = 1.0
        found.model.embed_tokens.weight.copy_(torch.eye(size))
        found.lm_head.weight.copy_(torch.as_tensor(np.log(chances).T / np.sqrt(size)))
    return found


@functools.cache
def handmade_folder() -> str:
    return save(handmade_network(), handmade_tokenizer())


def frame(rows: int = 12, seed: int = 0) -> pd.DataFrame:
    """Sentences whose label can be learned from their words."""
    g = np.random.default_rng(seed)
    tone = g.choice(["bad", "good"], rows)
    words = np.where(tone == "good", "rose", "fell")
    sentence = [f"{g.choice(['Sales', 'Profits'])} {word} in {1990 + k % 10}." for k, word in enumerate(words)]
    return pd.DataFrame({"tone": tone, "sentence": sentence}, index=[f"r{k}" for k in range(rows)])


def plain_titles(results: el.LLMResults, ids: np.ndarray) -> np.ndarray:
    """Log P of every title after a text in tokens, each by a plain pass of the network with its own head."""
    network, out = results.predictor.decoder.network, []
    for k in range(len(results.choices)):
        path = results.predictor.trie.path(k)
        whole = torch.as_tensor(np.concatenate([ids, path])[None].astype(np.int64))
        with torch.inference_mode():
            found = network(input_ids=whole, use_cache=False).logits[0].log_softmax(-1)
        places = torch.arange(len(ids) - 1, len(ids) + len(path) - 1)
        out.append(float(found[places, torch.as_tensor(path)].double().sum()))
    return np.array(out)


def context(model: str) -> int:
    return context_of(load_language_model(model, None, "float32", "cpu").network.config)


def own_tokens(model: str, resume: el.Resume) -> list[int]:
    """Tokens of a text as the tokenizer cuts it as a whole, special ones included."""
    return tf.AutoTokenizer.from_pretrained(Path(model))(resume.text)["input_ids"]

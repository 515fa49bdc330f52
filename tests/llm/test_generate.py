"""Text that a model writes: draws follow its probabilities, beams find the most probable, and titles are recognised."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from econllm.choices import ChoiceSet
from econllm.encoders.language import LanguageModel
from econllm.errors import OptionError
from econllm.llm import continuation
from econllm.llm.continuation import Ending, Sampling, beams, draw, starts
from econllm.llm.decoder import Decoder
from econllm.llm.documents import read_documents
from econllm.llm.generate import SampledProba, generate, match_titles, sampled_proba
from econllm.llm.prediction import Predictor, Words
from econllm.llm.prompts import Wording
from econllm.llm.scoring import Scorer
from econllm.llm.tuning import PromptTuning
from econllm.llm.tuning_network import prepare
from econllm.text import Resume

TITLES = ("cook", "cook helper", "clerk", "nurse aide")
WORDS = ["<s>", "</s>", ".", "in", "80", "81", "cook", "helper", "clerk", "nurse", "aide"]
CODES = [10, 20, 30, 40]
SEEN = {
    "in 80 cook in": {"cook": 0.5, "cook helper": 0.3, "cook aide": 0.2},
    "in 81 clerk in": {"clerk": 0.6, "nurse aide": 0.2, "81": 0.2},
    "nurse 80": {"nurse aide": 0.7, "nurse nurse aide": 0.1, "cook": 0.2},
}
TEXTS = list(SEEN)


def tokenizer():
    plain = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="<s>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", eos_token="</s>", unk_token="<s>")


def language():
    """A network that has seen what follows three texts: titles, some of them no titles of the choice set."""
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=1,
    )
    network = LlamaForCausalLM(config).double()
    words = tokenizer()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.02)
    for _ in range(40):
        losses = []
        for text, answers in SEEN.items():
            cut = len(words(text)["input_ids"]) + 1
            for answer, share in answers.items():
                ids = torch.tensor([[0, *words(f"{text} {answer} .")["input_ids"]]])
                log_proba = network(ids).logits[0].log_softmax(dim=-1)
                losses.append(-share * log_proba[cut - 1 : -1].gather(1, ids[0, cut:, None]).sum())
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()
        optimiser.step()
    files = SimpleNamespace(folder="random")
    return LanguageModel(network.eval(), words, files, "float64", np.array([0], np.int32), 64)


@pytest.fixture(scope="module")
def model():
    return language()


def predictor_of(model, engine="tree", decoder=None, titles=TITLES):
    choices = ChoiceSet(CODES, list(TITLES))
    words = Words(model, None, None, None, None, 64, None)
    found = Predictor.of(words, choices, wording(TEXTS, titles), decoder or Decoder(model.network), True)
    scorer = Scorer(found.decoder, found.trie, engine)
    return Predictor(words, choices, tuple(titles), scorer, found.ends, True)


def wording(texts, titles=TITLES):
    return Wording([Resume("", (text,)) for text in texts], " ", " .", tuple(titles))


def documents_of(predictor, texts=TEXTS):
    language = predictor.words.language
    worded = wording(texts, predictor.titles)
    return read_documents(language.tokenizer, language.opening, worded, predictor.trie, None, 64)


def exact(predictor, texts=TEXTS):
    """P(title) of the chain rule, row by row."""
    return np.exp(
        np.concatenate([predictor.scorer.score(d.ids, d.cuts).raw for d in documents_of(predictor, texts).items])
    )


INDEX = pd.Index(["a", "b", "c"])


def test_frequencies_are_the_probabilities_of_the_chain_rule(model):
    predictor = predictor_of(model)
    draws = 3000
    found = generate(predictor, documents_of(predictor), INDEX, draws, seed=1).frame
    right = found[found["match"] == "exact"]
    shares = pd.crosstab(right.index, right["outcome"]).reindex(index=INDEX, columns=CODES, fill_value=0) / draws
    p = exact(predictor)
    assert p.max() > 0.05  # else nothing is compared
    assert (np.abs(shares.to_numpy() - p) <= 4 * np.sqrt(p * (1 - p) / draws)).all()
    # The test tells rows apart: those of another row are far off.
    assert (np.abs(shares.to_numpy() - p[[1, 2, 0]]) > 4 * np.sqrt(p * (1 - p) / draws)).any()


def test_a_temperature_divides_the_log_probabilities_of_tokens(model):
    hot = replace(model, network=copy.deepcopy(model.network))
    hot.network.lm_head.weight.data /= 1.7
    draws = 300
    predictor = predictor_of(model)
    found = sampled_proba(predictor, documents_of(predictor), INDEX, draws, temperature=1.7, seed=2)
    same = sampled_proba(predictor_of(hot), documents_of(predictor), INDEX, draws, seed=2)
    # Uniform numbers are the same, and so are the draws.
    pd.testing.assert_frame_equal(found.proba, same.proba)
    cold = sampled_proba(predictor, documents_of(predictor), INDEX, draws, seed=2)
    assert (found.proba - cold.proba).abs().to_numpy().max() > 0.05


@pytest.mark.parametrize("engine", ["kv", "naive"])
def test_every_engine_writes_the_same(model, engine):
    documents = documents_of(predictor_of(model))
    first, second = (generate(predictor_of(model, name), documents, INDEX, 20, seed=5) for name in ("tree", engine))
    pd.testing.assert_frame_equal(first.frame, second.frame)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "gemma3_text", "mistral", "phi3"])
def test_remembered_texts_are_read_on_as_plain_passes_read_them(family):
    config = AutoConfig.for_model(
        family, vocab_size=20, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, initializer_range=0.3, sliding_window=5,
        pad_token_id=0, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    decoder = Decoder(AutoModelForCausalLM.from_config(config).double().eval())
    ids = np.array([0, 3, 9, 4, 12, 11, 9, 2, 7])
    remembered, plain = (starts(decoder, ids, np.array([6, 9]), remember) for remember in (True, False))
    for first, second in zip(remembered, plain, strict=True):
        for of, tokens in (([0, 0, 0], [4, 5, 6]), ([2, 0, 0], [7, 8, 9]), ([1], [3])):
            first, second = first.longer(of, tokens), second.longer(of, tokens)
            assert torch.equal(first.ids, second.ids)
            gaps = [np.abs(a - b).max() for a, b in zip(first.log_proba(), second.log_proba(), strict=True)]
            assert len(gaps) == len(of)
            assert max(gaps) < 1e-9
    assert first.ids[0].tolist() == [*ids, 4, 8, 3]


def test_vectors_in_front_are_read(model):
    decoder = prepare(model, PromptTuning(tokens=4), np.random.SeedSequence(0))
    documents = documents_of(predictor_of(model))
    first, second = (
        generate(predictor_of(model, name, decoder), documents, INDEX, 20, seed=5) for name in ("tree", "naive")
    )
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert not first.frame.equals(generate(predictor_of(model), documents, INDEX, 20, seed=5).frame)


def test_draws_of_a_row_depend_on_no_other_row(model):
    predictor = predictor_of(model)
    together = generate(predictor, documents_of(predictor), INDEX, 20, seed=5).frame
    for k in range(3):
        alone = generate(predictor, documents_of(predictor, TEXTS[k : k + 1]), INDEX[k : k + 1], 20, seed=5).frame
        pd.testing.assert_frame_equal(alone, together.loc[INDEX[k : k + 1]])
    fewer = generate(predictor, documents_of(predictor), INDEX, 5, seed=5).frame
    pd.testing.assert_frame_equal(fewer, together[together["draw"] <= 5])
    other = generate(predictor, documents_of(predictor), INDEX, 20, seed=6).frame
    assert not other["text"].equals(together["text"])


def test_many_draws_are_made_in_parts(model, monkeypatch):
    predictor = predictor_of(model)
    whole = generate(predictor, documents_of(predictor), INDEX, 20, seed=5).frame
    monkeypatch.setattr(continuation, "_HELD", 30)
    pd.testing.assert_frame_equal(generate(predictor, documents_of(predictor), INDEX, 20, seed=5).frame, whole)


def test_rows_with_the_same_label_and_text_draw_for_themselves(model):
    predictor = predictor_of(model)
    documents = documents_of(predictor, TEXTS[:1] * 2)
    found = generate(predictor, documents, pd.Index(["a", "a"]), 30, seed=5).frame["text"].tolist()
    assert found[:30] != found[30:]


def test_beams_find_the_most_probable_texts(model):
    predictor = predictor_of(model)
    start = starts(predictor.decoder, *documents_of(predictor).items[0][:2], True)[0]
    ending = Ending(model.tokenizer, " .", 3, frozenset({1}))
    # All texts of at most three tokens, one by one.
    scores = {}
    live = [((), 0.0, start)]
    while live:
        tokens, score, text = live.pop()
        for token, value in enumerate(next(text.log_proba())):
            longer = (*tokens, token)
            if ending.text(longer) is None:
                live.append((longer, score + value, text.longer([0], [token])))
            else:
                scores[longer] = score + value
    assert np.exp(list(scores.values())).sum() == pytest.approx(1)
    best = sorted(scores, key=scores.get, reverse=True)
    assert beams(start, ending, 200)[:10] == [ending.text(tokens) for tokens in best[:10]]


def test_beams_that_cover_the_titles_put_them_in_order_of_probability(model):
    predictor = predictor_of(model)
    found = generate(predictor, documents_of(predictor), INDEX, 30, num_beams=30).frame
    right = found[found["match"] == "exact"].reset_index().drop_duplicates(["index", "outcome"])
    for label, p in zip(INDEX, exact(predictor), strict=True):
        best = [CODES[k] for k in np.argsort(-p) if p[k] > 0.02]
        assert best
        assert right.loc[right["index"] == label, "outcome"].tolist()[: len(best)] == best
    again = generate(predictor, documents_of(predictor), INDEX, 30, num_beams=30).frame
    pd.testing.assert_frame_equal(found, again)


def test_greedy_text_takes_the_most_probable_token(model):
    predictor = predictor_of(model)
    documents = documents_of(predictor)
    cold, first = (
        generate(predictor, documents, INDEX, 2, seed=1, **options) for options in ({"temperature": 0}, {"top_k": 1})
    )
    pd.testing.assert_frame_equal(cold.frame, first.frame)
    start = starts(predictor.decoder, *documents.items[0][:2], True)[0]
    ending = Ending(model.tokenizer, " .", 6, frozenset({1}))
    said = ()
    while not said or ending.text(said) is None:
        said = (*said, int(np.argmax(next(start.log_proba()))))
        start = start.longer([0], said[-1:])
    assert cold.frame["text"].tolist()[:2] == [ending.text(said)] * 2


def test_sampling_keeps_what_filters_keep():
    log_proba = np.log([0.1, 0.4, 0.2, 0.3])
    assert Sampling().proba(log_proba) == pytest.approx([0.1, 0.4, 0.2, 0.3])
    assert Sampling(temperature=0.5).proba(log_proba) == pytest.approx(np.array([1, 16, 4, 9]) / 30)
    assert Sampling(top_k=2).proba(log_proba) == pytest.approx(np.array([0, 4, 0, 3]) / 7)
    assert Sampling(top_p=0.7).proba(log_proba) == pytest.approx(np.array([0, 4, 0, 3]) / 7)
    assert Sampling(top_p=0.71).proba(log_proba) == pytest.approx(np.array([0, 4, 2, 3]) / 9)
    assert Sampling(top_k=3, top_p=0.5).proba(log_proba) == pytest.approx(np.array([0, 4, 0, 3]) / 7)
    assert Sampling(top_p=0.01).proba(log_proba).tolist() == [0, 1, 0, 0]
    assert Sampling(temperature=0).proba(log_proba).tolist() == [0, 1, 0, 0]
    assert Sampling(top_k=9).proba(log_proba) == pytest.approx([0.1, 0.4, 0.2, 0.3])


def test_filtered_tokens_are_never_drawn(model):
    predictor = predictor_of(model)
    start = starts(predictor.decoder, *documents_of(predictor).items[0][:2], True)[0]
    ending = Ending(model.tokenizer, " .", 1, frozenset())
    log_proba = next(start.log_proba())
    allowed = {ending.text((int(token),)) for token in np.argsort(-log_proba)[:2]}
    uniforms = np.append(np.random.default_rng(0).random(200), [0.0, np.nextafter(1, 0)])[:, None]
    assert set(draw(start, ending, Sampling(top_k=2), uniforms)) == allowed


def test_frames_say_what_was_written(model):
    predictor = predictor_of(model)
    found = generate(predictor, documents_of(predictor), INDEX, 40, seed=3)
    frame = found.frame
    assert frame.columns.tolist() == ["draw", "text", "outcome", "match"]
    assert frame.index.tolist() == np.repeat(INDEX, 40).tolist()
    assert frame["draw"].tolist() == [*range(1, 41)] * 3
    assert str(frame["outcome"].dtype) == "Int64"
    assert set(frame["match"]) == {"exact", "nearest", "none"}
    right = frame[frame["match"] == "exact"]
    assert [TITLES[CODES.index(code)] for code in right["outcome"]] == right["text"].tolist()
    assert frame["outcome"].isna().equals(frame["match"] == "none")
    assert found.invalid == pytest.approx(1 - len(right) / 120)
    assert 0 < found.invalid < 1
    text = str(found)
    assert frame["text"].iloc[0] in text
    assert "and 100 more texts" in text
    assert f"{found.invalid:.1%}" in repr(found)


def test_sampled_probabilities_count_matched_titles(model):
    predictor = predictor_of(model)
    found = sampled_proba(predictor, documents_of(predictor), INDEX, 40, seed=3)
    frame = generate(predictor, documents_of(predictor), INDEX, 40, seed=3).frame
    expected = pd.crosstab(frame.index, frame["outcome"]).reindex(columns=CODES, fill_value=0) / 40
    assert isinstance(found, SampledProba)
    assert np.array_equal(found.proba.to_numpy(), expected.to_numpy())
    assert found.proba.index.equals(INDEX)
    assert found.proba.columns.tolist() == CODES
    p = found.proba.loc["a", 10]
    assert found.std_errors.loc["a", 10] == pytest.approx(np.sqrt(p * (1 - p) / 40))
    assert found.invalid == pytest.approx((frame["match"] != "exact").mean())
    assert (found.proba.sum(axis=1) < 1).any()
    assert "Draws per row" in str(found)


def test_texts_end_at_the_mark_a_stop_or_the_limit(model):
    ending = Ending(model.tokenizer, " .", 3, frozenset({1}))
    of = {word: k for k, word in enumerate(WORDS)}
    assert ending.text((of["cook"],)) is None
    assert ending.text((of["cook"], of["."])) == "cook"
    assert ending.text((of["cook"], of["</s>"])) == "cook"
    assert ending.text((of["</s>"],)) == ""
    assert ending.text((of["cook"], of["helper"], of["in"])) == "cook helper in"
    # A special token that is the mark itself.
    assert Ending(model.tokenizer, "</s>", 3, frozenset({1})).text((of["cook"], of["</s>"])) == "cook"


def test_no_text_is_longer_than_the_context(model):
    short = LanguageModel(model.network, model.tokenizer, model.files, model.dtype, model.opening, 8)
    predictor = predictor_of(short)
    documents = documents_of(predictor, ["in 80 cook in"])  # five tokens with the opening
    found = generate(predictor, documents, INDEX[:1], 50, seed=1).frame["text"]
    assert found.str.split().str.len().max() <= 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0 is not allowed"),
        ({"temperature": -1}, "temperature=-1"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 0}, "top_p=0"),
        ({"top_p": 1.5}, "at most 1"),
        ({"num_beams": 0}, "num_beams=0"),
        ({"num_beams": 3, "top_k": 2}, "num_beams= draws nothing"),
        ({"n": 3, "num_beams": 2}, "give at least 3 beams"),
    ],
)
def test_options_that_cannot_be(model, options, message):
    predictor = predictor_of(model)
    with pytest.raises(OptionError, match=message):
        generate(predictor, documents_of(predictor), INDEX, **options)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=12).filter(lambda text: text == text.strip()), min_size=1, unique=True))
def test_titles_match_themselves(titles):
    positions, kinds = match_titles(titles, titles)
    assert positions.tolist() == list(range(len(titles)))
    assert set(kinds) == {"exact"}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=12), st.lists(st.text(min_size=1, max_size=8), min_size=1, unique=True))
def test_a_text_is_nearest_only_to_what_it_is_like(text, titles):
    (position,), (kind,) = match_titles([text], titles)
    assert (kind == "none") == (position == -1)
    assert (kind == "exact") == (text in titles)
    if kind == "nearest":
        assert set(titles[position].casefold()) & set(text.casefold())


def test_capitals_are_near_and_codes_are_not():
    positions, kinds = match_titles(["COOK", "Cooks", "", "xyz"], ["Clerk", "Cook"])
    assert positions.tolist() == [1, 1, -1, -1]
    assert kinds == ["nearest", "nearest", "none", "none"]
    assert match_titles(["1235", "1234"], ["1234", "4321"])[1] == ["none", "exact"]

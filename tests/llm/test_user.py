"""What users do with language models beside the usual: odd options, texts without a header, results sent elsewhere."""

import pickle

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

import econllm as el
from econllm.errors import DataError, OptionError
from econllm.llm.prediction import best_temperature
from tests.career.samples import careers, panel, panel_of
from tests.llm.samples import CORPUS, VOCABULARY, folder, frame, network, save

FORMULA = "tone ~ sentence"


@pytest.fixture(scope="module")
def marking():
    """A model whose tokenizer marks where a text begins, as that of Llama 2 does."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    raw.decoder = decoders.Metaspace(prepend_scheme="first")
    letters = sorted({letter for line in CORPUS for letter in line})
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"], initial_alphabet=letters, show_progress=False
    )
    raw.train_from_iterator(CORPUS, trainer)
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokens = tf.PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    return save(network("llama", torch.float32), tokens)


@pytest.mark.parametrize("careers", [False, True])
def test_attention_is_of_the_tokens_that_are_scored(marking, careers):
    if careers:
        data = panel(6)
        fit = el.LLM(marking, template=el.ResumeTemplate(opening="", person="")).fit(data)
    else:
        data = frame()
        fit = el.LLM(marking, formula=FORMULA).fit(data)
    document = fit._documents(data).items[0]
    tokenizer = fit.predictor.words.language.tokenizer
    scored = tokenizer.convert_ids_to_tokens(document.ids[: document.cuts[0]].tolist())
    shown = fit.attention(data, data.index[document.rows[0]]).tokens
    assert scored[1].startswith("\u2581")
    assert [token.replace("\u2581", " ").replace("\n", "\\n").strip() or token for token in scored] == list(shown)


def test_attention_to_a_row_does_not_word_other_persons(marking, monkeypatch):
    data = panel(6)
    fit = el.LLM(marking, template=el.ResumeTemplate(opening="", person="")).fit(data)
    row = data.index[data.person_ids == data.persons[3]][-1]
    expected = fit.attention(data.subset(data.persons[3:4]), row)
    worded, words = [], type(fit.predictor.words)
    plain = words.wording
    monkeypatch.setattr(words, "wording", lambda self, part, choices: worded.append(part) or plain(self, part, choices))
    found = fit.attention(data, row)
    assert worded[0].persons.tolist() == [data.persons[3]]
    assert found.tokens == expected.tokens
    assert np.array_equal(found.weights, expected.weights)


@pytest.mark.parametrize("revision", [3, b"main", ["main"]])
def test_a_revision_is_a_text(revision):
    with pytest.raises(OptionError, match=r"revision.* not allowed: give a commit, branch or tag as text"):
        el.LLM("someone/something", revision=revision, formula=FORMULA).fit(frame())


@pytest.mark.parametrize("place", [lambda: "tiny", folder])
def test_models_on_this_machine_have_no_revisions(place):
    model = place()
    with pytest.raises(OptionError, match=f"revision='main' is of a model on a hub, and '{model}' is on this machine"):
        el.LLM(model, revision="main", formula=FORMULA).fit(frame())


def test_a_pickled_result_says_how_it_gets_its_examples_back():
    data = panel(6)
    fit = el.LLM(folder(), prompt=el.Prompt(examples=1), max_tokens=200).fit(data, seed=0)
    sent = pickle.loads(pickle.dumps(fit))
    with pytest.raises(DataError, match=r"with_examples\(train, seed="):
        sent.log_proba(data)
    given = sent.with_examples(data, seed=0)
    assert given.log_proba(data) == pytest.approx(fit.log_proba(data), abs=1e-4)


def test_weights_that_change_nothing_are_not_said_to_be_used():
    data, weights = frame(), frame()["tone"].eq("good").astype(float)
    assert not el.LLM(folder(), formula=FORMULA).fit(data, weights=weights).info.weighted
    tuned = el.LLM(folder(), formula=FORMULA, tuning="full", training=el.Training(epochs=1))
    assert tuned.fit(data, weights=weights, seed=0).info.weighted


def test_the_temperature_weighs_rows_as_if_they_were_repeated():
    g = np.random.default_rng(0)
    raw, outcome = g.normal(size=(30, 4)) * 3, g.integers(0, 4, 30)
    counts = np.where(raw.argmax(axis=1) == outcome, 6, 1)
    repeated = best_temperature(raw.repeat(counts, axis=0), outcome.repeat(counts))
    assert best_temperature(raw, outcome, counts.astype(float)) == pytest.approx(repeated, rel=1e-4)
    assert abs(np.log(repeated / best_temperature(raw, outcome))) > 0.1


def test_survey_weights_count_for_the_temperature():
    df = careers(10).assign(weight=lambda d: 1.0 + d["id"] ** 2)
    train, valid = panel_of(df, weights="weight").split([0.5, 0.5], seed=0)
    brief = {"tuning": "full", "temperature": "validation", "training": el.Training(epochs=1, learning_rate=1e-5)}
    found = el.LLM(folder(), max_tokens=200, dtype="float64", weighted=True, **brief).fit(
        train, validation=valid, seed=0
    )
    raw = found.predictor.raw(found._documents(valid))[0]
    assert found.temperature == pytest.approx(best_temperature(raw, valid.outcome, valid.sampling_weights), rel=1e-6)


def test_a_panel_that_shows_other_columns_is_refused():
    df = panel(8).to_frame()
    roles = {"person": "id", "time": "year", "occupation": "job", "titles": panel(8).choices, "static": ["sex"]}
    fit = el.LLM(folder()).fit(el.CareerPanel(df, **roles, lagged=["hours"]))
    for other in ({"lagged": ["sector"]}, {"lagged": ["hours"], "dynamic": ["region"]}):
        with pytest.raises(DataError, match="the same static, dynamic and lagged columns"):
            fit.log_likelihood(el.CareerPanel(df, **roles, **other))


def test_examples_that_are_given_again_must_be_those_of_the_fit(tmp_path):
    data = panel(8)
    fit = el.LLM(folder(), prompt=el.Prompt(examples=1, example_records=1)).fit(data, seed=3)
    fit.save(tmp_path / "fit")
    loaded = el.load(tmp_path / "fit")
    assert np.array_equal(loaded.with_examples(data, seed=3).log_proba(data), fit.log_proba(data))
    for other, seed in ((data, 4), (data.subset(data.persons[:5]), 3)):
        with pytest.raises(DataError, match="not those of the fit"):
            loaded.with_examples(other, seed=seed)


def test_more_tokens_than_the_model_reads_are_refused():
    with pytest.raises(OptionError, match="max_tokens=5000 is more than the 256 tokens"):
        el.LLM(folder(), max_tokens=5000).fit(panel(4))

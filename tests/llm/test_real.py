"""A real language model, of 0.66 million parameters, loads, scores and learns."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import econllm as el
from tests.career.samples import panel

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def place():
    found = (
        Path(os.environ.get("ECONLLM_SHARED", Path(__file__).parents[3] / "shared")) / "models" / "TinyStories-656K-hf"
    )
    if not found.is_dir():
        pytest.skip("the development models are not here; ECONLLM_SHARED names their folder")
    return found


def by_hand(place, text, titles):
    """Log P of titles after a text, both cut into tokens by themselves, by transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(place)
    network = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float64).eval()
    front, out = tokenizer(text)["input_ids"], []
    for title in titles:
        # This tokenizer marks where texts begin, and joins a colon with the blank after it.
        mark, *inside = tokenizer("\n" + title, add_special_tokens=False)["input_ids"][1:]
        assert tokenizer.convert_ids_to_tokens(mark) == "\n"
        ids = front + inside
        with torch.inference_mode():
            found = network(torch.tensor([ids])).logits[0].log_softmax(dim=-1)
        out.append(sum(float(found[t - 1, ids[t]]) for t in range(len(front), len(ids))))
    return np.array(out)


def test_it_scores_labels_as_transformers_does(place):
    import pandas as pd

    text = "Once upon a time there was a little girl. She was very sad and started to cry."
    df = pd.DataFrame({"mood": ["happy", "sad", "angry"], "story": [text] * 3})
    for engine in ("auto", "kv", "naive"):
        fit = el.LLM(place, formula="mood ~ story", dtype="float64", engine=engine).fit(df)
        expected = by_hand(place, f"{text}\nmood:", [f" {label}\n" for label in fit.choices.titles])
        raw = fit.predictor.raw(fit._documents(df))[0]
        assert raw[0] == pytest.approx(expected, abs=1e-9)
        assert fit.log_proba(df)[0] == pytest.approx(expected - np.logaddexp.reduce(expected), abs=1e-9)
    assert fit._documents(df).canonical == 1.0


def test_all_engines_agree_on_careers(place):
    data = panel(6)
    fits = [el.LLM(place, engine=engine).fit(data) for engine in ("tree", "kv", "naive")]
    for fit in fits[1:]:
        assert fit.log_proba(data) == pytest.approx(fits[0].log_proba(data), abs=1e-4)
    assert fits[0].engine == "tree"
    assert el.LLM(place).fit(data).engine == "tree"
    assert 0 < fits[0].title_mass < 1


def test_it_learns_careers(place):
    train, valid, test = panel(30).split([0.6, 0.2, 0.2], seed=0)
    shelf = el.LLM(place).fit(train)
    training = el.Training(epochs=3, batch=4, learning_rate=2e-3)
    tuned = el.LLM(place, tuning="full", training=training).fit(train, validation=valid, seed=0)
    lora = el.LLM(place, tuning=el.LoRA(r=4), training=training).fit(train, validation=valid, seed=0)
    assert tuned.perplexity(test).value < 0.8 * shelf.perplexity(test).value
    assert lora.perplexity(test).value < shelf.perplexity(test).value
    assert tuned.title_mass > 0.1 > shelf.title_mass


def test_it_is_saved_and_loaded(place, tmp_path):
    data = panel(8)
    training = el.Training(epochs=1, batch=4, learning_rate=1e-3)
    fit = el.LLM(place, tuning=el.LoRA(r=2), training=training).fit(data, seed=0)
    fit.save(tmp_path / "fit")
    assert np.array_equal(el.load(tmp_path / "fit").log_proba(data), fit.log_proba(data))
    fit.export(tmp_path / "model")
    again = el.LLM(tmp_path / "model").fit(data)
    assert again.log_proba(data) == pytest.approx(fit.log_proba(data), abs=1e-3)


def test_it_embeds(place):
    encoder = el.SentenceEncoder(str(place), cache=False, dtype="float32")
    resumes = panel(4).resumes()
    vectors = el.embed(resumes, model=encoder)
    alone = el.embed([resumes[3]], model=encoder)
    assert np.shape(vectors) == (len(resumes), 128)
    assert np.asarray(alone)[0] == pytest.approx(np.asarray(vectors)[3], abs=1e-4)

"""Saved and loaded: equal to the last bit, without a row of the data; and exported as a model folder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import econllm as el
import econllm.encoders.language
from econllm.errors import DataError, ModelNotFoundError, OptionError
from tests.career.samples import careers, panel, panel_of, same_weights
from tests.llm.samples import folder, frame

FORMULA = "tone ~ sentence"
QUICK = el.Training(epochs=1, batch=4, learning_rate=0.02)
TUNINGS = {
    "off the shelf": {},
    "raw": {"normalize": "raw"},
    "cold": {"temperature": 0.5},
    "full": {"tuning": "full"},
    "lora": {"tuning": el.LoRA(r=2)},
    "frozen": {"tuning": el.Frozen(1)},
    "vectors": {"tuning": el.PromptTuning(3)},
    "pruned": {"tuning": "full", "tol": 0.1},
    "bfloat16": {"dtype": "bfloat16"},
    "codes": {"template": el.ResumeTemplate(titles="code", names={"educ": "schooling"})},
}


def llm(family="llama", **options):
    training = {"training": QUICK} if options.get("tuning") else {}
    return el.LLM(folder(family), **{"max_tokens": 160, **training, **options})


def back(fit, place):
    """The result as another session would load it."""
    fit.save(place)
    econllm.encoders.language._load.cache_clear()
    return el.load(place)


@pytest.mark.parametrize("options", TUNINGS.values(), ids=TUNINGS)
def test_a_loaded_result_gives_the_same_numbers(tmp_path, options):
    data = panel(4)
    fit = llm(**options).fit(data, seed=0)
    loaded = back(fit, tmp_path / "fit")
    assert np.array_equal(loaded.log_proba(data), fit.log_proba(data))
    assert loaded.log_likelihood(data).equals(fit.log_likelihood(data))
    assert loaded.mass(data).equals(fit.mass(data))
    assert same_weights(loaded.predictor.decoder, fit.predictor.decoder)
    assert loaded.model == fit.model
    assert loaded.info.__dict__.keys() == fit.info.__dict__.keys()
    assert str(loaded) == str(fit)
    assert loaded.choices == fit.choices
    assert loaded.template == fit.template
    assert loaded.training == fit.training
    assert loaded.tokens_per_second == fit.tokens_per_second
    assert not loaded.predictor.decoder.network.training


def test_the_history_and_what_validation_chose_come_back(tmp_path):
    train, valid = panel(9).split([0.6, 0.4])
    fit = llm(tuning="full", temperature="validation").fit(train, validation=valid, seed=0)
    loaded = back(fit, tmp_path / "fit")
    assert loaded.history.frame.equals(fit.history.frame)
    assert loaded.history.best_epoch == fit.history.best_epoch
    assert loaded.temperature == fit.temperature
    assert loaded.chosen == fit.chosen
    assert np.array_equal(loaded.log_proba(valid), fit.log_proba(valid))


def test_a_data_frame_with_words_for_labels_comes_back(tmp_path):
    df = frame().assign(tone=lambda d: (d["tone"] == "good").astype(int))
    df.attrs["value_labels"] = {"tone": {0: "bad", 1: "good"}}
    fit = llm(formula=FORMULA, tuning="full").fit(df, seed=0)
    loaded = back(fit, tmp_path / "fit")
    unlabelled = df.drop(columns="tone")
    assert np.array_equal(loaded.log_proba(unlabelled), fit.log_proba(unlabelled))
    assert loaded.choices.titles == ("bad", "good")


def test_a_slower_engine_comes_back_without_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="engine='kv'"):
        fit = llm("gpt_neo").fit(panel(4))
    loaded = back(fit, tmp_path / "fit")
    assert loaded.engine == "kv"
    assert np.array_equal(loaded.log_proba(panel(4)), fit.log_proba(panel(4)))


def test_no_row_of_the_data_is_written(tmp_path):
    marks = ["Zanzibar", "Qwertyland", "Xylophone", "Vermilion"]
    df = careers(6).assign(
        region=marks[0], sex=marks[1], sector=marks[2], id=lambda d: d["id"].map(lambda k: f"Vermilion{k}")
    )
    data = panel_of(df)
    assert all(mark in data.resumes(full=True).iloc[0] for mark in marks[:3])
    prompt = el.Prompt(examples=1)
    fits = [
        llm().fit(data),
        llm(tuning="full").fit(data, seed=0),
        llm(tuning=el.LoRA(r=2)).fit(data, seed=0),
        el.LLM(folder(), max_tokens=250, prompt=prompt).fit(data, seed=0),
    ]
    for k, fit in enumerate(fits):
        fit.save(tmp_path / f"{k}")
        written = b"".join(path.read_bytes() for path in (tmp_path / f"{k}").rglob("*") if path.is_file())
        # What is text is so in this coding; titles are no rows of the data.
        assert b"Head cook" in written
        for mark in marks:
            assert mark.encode() not in written, (k, mark)
    fits[1].export(tmp_path / "export")
    for path in (tmp_path / "export").rglob("*"):
        assert not any(mark.encode() in path.read_bytes() for mark in marks), path.name


def test_weights_off_the_shelf_are_not_written_again(tmp_path):
    llm().fit(panel(4)).save(tmp_path / "fit")
    assert (tmp_path / "fit" / "arrays.safetensors").stat().st_size < 1000
    llm(tuning=el.PromptTuning(3)).fit(panel(4), seed=0).save(tmp_path / "vectors")
    assert (tmp_path / "vectors" / "arrays.safetensors").stat().st_size < 2000
    state = json.loads((tmp_path / "vectors" / "results.json").read_text())["state"]
    assert list(state["weights"]) == ["soft"]


def test_a_base_model_that_changed_is_found_out(tmp_path):
    place = tmp_path / "model"
    shutil.copytree(folder(), place)
    for k, tuning in enumerate((None, el.LoRA(r=2))):
        model = el.LLM(place, max_tokens=160, tuning=tuning, training=QUICK if tuning else None)
        model.fit(panel(4), seed=0).save(tmp_path / f"fit{k}")
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.1}))
    for k in range(2):
        with pytest.raises(ModelNotFoundError, match=r"are not those this result was fitted with \(sha256"):
            el.load(tmp_path / f"fit{k}")
    shutil.rmtree(place)
    with pytest.raises(ModelNotFoundError, match="this folder does not exist"):
        el.load(tmp_path / "fit0")


def test_a_damaged_file_is_said_to_be_damaged(tmp_path):
    llm(tuning="full").fit(panel(4), seed=0).save(tmp_path / "fit")
    path = tmp_path / "fit" / "results.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "model": {**content["model"], "tuning": None}}))
    with pytest.raises(DataError, match="damaged"):
        el.load(tmp_path / "fit")


def test_examples_have_to_be_given_again(tmp_path):
    data = panel(6)
    model = el.LLM(folder(), max_tokens=250, prompt=el.Prompt(examples=1))
    fit = model.fit(data, seed=5)
    loaded = back(fit, tmp_path / "fit")
    with pytest.raises(DataError, match=r"with_examples\(train, seed="):
        loaded.log_proba(data)
    again = loaded.with_examples(data, seed=5)
    assert np.array_equal(again.log_proba(data), fit.log_proba(data))
    assert str(again) == str(fit)


# Export


@pytest.mark.parametrize(
    ("family", "tuning"),
    [("llama", None), ("llama", "full"), ("llama", el.LoRA(r=2)), ("gpt2", el.LoRA(r=2)), ("gpt2", el.Frozen(1))],
    ids=repr,
)
def test_an_exported_folder_is_the_same_model(tmp_path, family, tuning):
    data = panel(3)
    fit = llm(family, tuning=tuning).fit(data, seed=0)
    before = fit.log_proba(data)
    fit.export(tmp_path / "model")
    assert np.array_equal(fit.log_proba(data), before)
    again = el.LLM(tmp_path / "model", max_tokens=160).fit(data)
    # Merged weights are rounded once more, and others may be multiplied in another order.
    assert np.abs(again.log_proba(data) - before).max() <= 1e-4
    shelf = llm(family).fit(data)
    assert (np.abs(again.log_proba(data) - shelf.log_proba(data)).max() > 1e-3) == (tuning is not None)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    tokens = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert plain(**tokens("1990: Cook", return_tensors="pt")).logits.shape[-1] == plain.config.vocab_size
    assert not any("lora" in name for name in plain.state_dict())


def test_folders_that_are_not_exported_to(tmp_path):
    fit = llm().fit(panel(3))
    (tmp_path / "empty").mkdir()
    fit.export(tmp_path / "empty")
    with pytest.raises(OptionError, match="exists and is not empty: give a new one"):
        fit.export(tmp_path / "empty")
    Path(tmp_path / "file").write_text("x")
    with pytest.raises(OptionError, match="exists and is not empty"):
        fit.export(tmp_path / "file")
    vectors = llm(tuning=el.PromptTuning(2)).fit(panel(3), seed=0)
    with pytest.raises(OptionError, match=r"learned vectors in front of texts: use save\(\)"):
        vectors.export(tmp_path / "vectors")
    assert not (tmp_path / "vectors").exists()

"""Saved and loaded: equal to the last bit, specification and history included."""

import json

import numpy as np
import pytest
import torch

import econllm as el
from econllm.errors import DataError
from tests.career.samples import CHOICES, MORE, TINY, careers, encoder, fitted, loud, panel, panel_of, same_weights


def back(fit, folder):
    fit.save(folder)
    return el.load(folder)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"two_stage": False, "returns": False},
        {"position": "sinusoidal", "calendar": "number"},
        {"position": None, "calendar": None, "gap": False, "covariates": ()},
        {"covariates": ("educ", "sector"), "history_dropout": 0.2, "pseudo_count": 1.5, "spell": True},
        {"dropout": 0.0, "training": el.Training(epochs=1, betas=(0.8, 0.9), clip=None), "preset": "quick"},
    ],
    ids=str,
)
def test_a_loaded_result_gives_the_same_numbers(tmp_path, options):
    fit = loud(fitted(**options))
    loaded = back(fit, tmp_path / "fit")
    data = panel()
    assert np.array_equal(loaded.log_proba(data), fit.log_proba(data))
    assert loaded.log_likelihood(data).equals(fit.log_likelihood(data))
    assert loaded.transform(data).equals(fit.transform(data))
    assert loaded.move_proba(data).equals(fit.move_proba(data))
    assert same_weights(loaded.predictor.network, fit.predictor.network)
    assert loaded.model == fit.model
    assert loaded.sizes == fit.sizes
    assert loaded.info == fit.info
    assert loaded.choices == fit.choices
    assert loaded.chosen == fit.chosen
    assert loaded.predictor.coding == fit.predictor.coding
    assert loaded.history.frame.equals(fit.history.frame)
    assert loaded.history.planned == fit.history.planned
    assert str(loaded) == str(fit)
    assert not loaded.predictor.network.training


def test_titles_and_what_is_set_aside_come_back(tmp_path):
    fit = loud(fitted(MORE, titles=encoder()))
    loaded = back(fit, tmp_path / "fit")
    data = panel(titles=MORE)
    assert np.array_equal(loaded.log_proba(data), fit.log_proba(data))
    assert torch.equal(loaded.predictor.network.titles, fit.predictor.network.titles)
    assert loaded.predictor.unseen.reserve == fit.predictor.unseen.reserve
    assert loaded.model.titles == encoder()
    assert loaded.info.unseen == (60, 70)


def test_a_loaded_start_is_a_start(tmp_path):
    source = fitted(titles=encoder())
    tuned = el.CAREER(start=source, freeze=[1, "head"], training=TINY["training"]).fit(panel(seed=1), seed=0)
    loaded = back(tuned, tmp_path / "tuned")
    assert np.array_equal(loaded.log_proba(panel()), tuned.log_proba(panel()))
    assert np.array_equal(loaded.model.start.log_proba(panel()), source.log_proba(panel()))
    assert loaded.model.freeze == (1, "head")
    again = loaded.model.fit(panel(seed=1), seed=0)
    assert same_weights(again.predictor.network, tuned.predictor.network)
    # A chain of starts, the first of them loaded.
    third = el.CAREER(start=loaded, training=TINY["training"]).fit(panel(), seed=0)
    assert np.array_equal(back(third, tmp_path / "third").log_proba(panel()), third.log_proba(panel()))


def test_a_validation_history_comes_back(tmp_path):
    train, valid = panel().split([0.6, 0.4])
    fit = el.CAREER(**TINY).fit(train, validation=valid, seed=0)
    loaded = back(fit, tmp_path / "fit")
    assert loaded.history.frame.equals(fit.history.frame)
    assert loaded.history.best_epoch == fit.history.best_epoch
    assert loaded.history.frame.index.equals(fit.history.frame.index)


def test_odd_levels_and_names_come_back(tmp_path):
    df = careers().rename(columns={"educ": 5, "region": "région (2000)", "birth": ("born", 1)})
    df["flag"] = df["hours"] > 40
    df["flag_object"] = df["flag"].astype(object).where(df["hours"].notna(), None)
    names = ["région (2000)", 5, "flag", "flag_object", ("born", 1)]
    data = panel_of(df, static=["sex"], dynamic=names)
    fit = loud(el.CAREER(**TINY, covariates=names).fit(data, seed=0))
    loaded = back(fit, tmp_path / "fit")
    assert np.array_equal(loaded.log_proba(data), fit.log_proba(data))
    assert loaded.model == fit.model


def test_text_codes_come_back(tmp_path):
    df = careers().assign(job=lambda d: d["job"].map(lambda code: f"j{code}"))
    data = panel_of(df, el.ChoiceSet([f"j{code}" for code in CHOICES.codes]))
    fit = loud(el.CAREER(**TINY).fit(data, seed=0))
    assert np.array_equal(back(fit, tmp_path / "fit").log_proba(data), fit.log_proba(data))


def test_no_row_of_the_data_is_written(tmp_path):
    fit = fitted()
    fit.save(tmp_path / "fit")
    assert sorted(path.name for path in (tmp_path / "fit").iterdir()) == ["arrays.safetensors", "results.json"]
    content = json.loads((tmp_path / "fit" / "results.json").read_text())
    assert content["class"] == "CAREERResults"
    arrays = np.concatenate([v.detach().numpy().ravel() for v in fit.predictor.network.state_dict().values()])
    size = (tmp_path / "fit" / "arrays.safetensors").stat().st_size
    assert size < 4 * len(arrays) + 20_000


def test_a_damaged_file_is_said_to_be_damaged(tmp_path):
    fit = fitted()
    fit.save(tmp_path / "fit")
    path = tmp_path / "fit" / "arrays.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="damaged or incomplete"):
        el.load(tmp_path / "fit")


def test_loading_leaves_random_numbers_alone(tmp_path):
    fitted().save(tmp_path / "fit")
    before = torch.get_rng_state()
    el.load(tmp_path / "fit")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_result_may_be_saved_again(tmp_path):
    loaded = back(fitted(), tmp_path / "one")
    twice = back(loaded, tmp_path / "two")
    assert (tmp_path / "one" / "results.json").read_bytes() == (tmp_path / "two" / "results.json").read_bytes()
    assert np.array_equal(twice.log_proba(panel()), fitted().log_proba(panel()))

"""Averages over seeds: probabilities, scores, saving, refits."""

import numpy as np
import pandas as pd
import pytest

import econllm as el
from econllm.datasets import simulate_careers
from econllm.errors import DataError, OptionError

TINY = el.CAREER(layers=1, dim=8, heads=2, training=el.Training(epochs=1, batch=16))


@pytest.fixture(scope="module")
def panel() -> el.CareerPanel:
    return simulate_careers(60, 4, records=(2, 6), seed=1)


@pytest.fixture(scope="module")
def fit(panel: el.CareerPanel) -> el.EnsembleResults:
    return el.Ensemble(TINY, members=3).fit(panel, seed=0)


def test_probabilities_are_the_mean_of_the_members(fit: el.EnsembleResults, panel: el.CareerPanel) -> None:
    mean = np.mean([np.exp(member.log_proba(panel)) for member in fit.members], axis=0)
    assert np.allclose(np.exp(fit.log_proba(panel)), mean, rtol=1e-12)
    assert np.allclose(np.exp(fit.log_proba(panel)).sum(axis=1), 1, atol=1e-12)


def test_scores_are_those_of_the_mean_and_not_below_the_mean_score(
    fit: el.EnsembleResults, panel: el.CareerPanel
) -> None:
    scores = fit.log_likelihood(panel)
    picked = fit.log_proba(panel)[np.arange(len(panel)), panel.outcome]
    assert np.allclose(scores, picked, atol=1e-5)
    each = pd.concat([member.log_likelihood(panel) for member in fit.members], axis=1)
    assert (scores >= each.mean(axis=1) - 1e-12).all()
    assert fit.info.log_likelihood == pytest.approx(scores.sum())


def test_members_differ_and_do_not_depend_on_their_number(fit: el.EnsembleResults, panel: el.CareerPanel) -> None:
    first, second = (member.log_proba(panel) for member in fit.members[:2])
    assert not np.allclose(first, second)
    fewer = el.Ensemble(TINY, members=2).fit(panel, seed=0)
    assert np.array_equal(fewer.members[1].log_proba(panel), second)


def test_saved_and_loaded(fit: el.EnsembleResults, panel: el.CareerPanel, tmp_path) -> None:
    fit.save(tmp_path / "fit")
    loaded = el.load(tmp_path / "fit")
    assert loaded.model == fit.model
    assert np.array_equal(loaded.log_proba(panel), fit.log_proba(panel))


def test_a_checkpoint_holds_a_folder_per_member(panel: el.CareerPanel, fit: el.EnsembleResults, tmp_path) -> None:
    again = el.Ensemble(TINY, members=2).fit(panel, seed=0, checkpoint=tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["member-1", "member-2"]
    assert np.array_equal(again.members[0].log_proba(panel), fit.members[0].log_proba(panel))


def test_checkpoints_that_cannot_be_used_are_refused(panel: el.CareerPanel, tmp_path) -> None:
    model = el.Ensemble(TINY, members=2)
    with pytest.raises(OptionError, match="needs a fixed seed"):
        model.fit(panel, checkpoint=tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="is a file"):
        model.fit(panel, seed=0, checkpoint=tmp_path / "file")
    with pytest.raises(DataError):
        model.fit(None, seed=0, checkpoint=tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_home_folder_may_be_short(panel: el.CareerPanel, tmp_path, monkeypatch) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    el.Ensemble(TINY, members=2).fit(panel, seed=0, checkpoint="~/run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["member-1", "member-2"]


def test_a_bootstrap_holds_what_the_members_chose(panel: el.CareerPanel) -> None:
    train, test = panel.split([0.7, 0.3])
    model = el.Ensemble(TINY, members=2)
    fit = model.fit(train, seed=0)
    assert fit.chosen == {"model": TINY.replace(preset="tiny")}
    boot = el.bootstrap({"ensemble": fit}, train, test, replications=2, seed=0)
    assert np.isfinite(boot.components()["ensemble"].training)


def test_the_summary_counts_members(fit: el.EnsembleResults) -> None:
    assert "Members" in str(fit)
    assert len(fit.summary().to_frame()) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "CAREER"}, "model='CAREER'"),
        ({"model": el.Ensemble(TINY)}, "give a model such as"),
        ({"model": TINY, "members": 1}, "members=1"),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        el.Ensemble(**options)

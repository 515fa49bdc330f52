"""The bootstrap of coefficients: seeds, workers, checkpoints, refits, and what follows from replications."""

import json

import numpy as np
import pandas as pd
import pytest
from logit_samples import careers, choices_frame, plain_text

from econllm.errors import DataError, OptionError
from econllm.logit.minimise import minimise
from econllm.multinomial import MNLogit, replicates
from econllm.panel import CareerPanel
from econllm.resampling import person_weights

MODEL = MNLogit("occupation ~ educ + exper", cov_type="bootstrap", replications=8)


@pytest.fixture(scope="module")
def panel() -> CareerPanel:
    return careers(150, 4)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    df = choices_frame(300)
    rng = np.random.default_rng(5)
    return df.assign(village=rng.integers(40, size=300), region=lambda d: "r" + (d["village"] % 3).astype(str))


@pytest.fixture(scope="module")
def fitted(panel):
    return MODEL.fit(panel, seed=4)


def weights_of(seed, b: int, clusters, draws="exponential") -> pd.Series:
    """Weights of a replication, as documented: child b of the seed, and its first child for the only stratum."""
    child = np.random.SeedSequence(seed, spawn_key=(b, 0))
    return person_weights(clusters, child, draws)


@pytest.mark.parametrize("draws", ["exponential", "multinomial"])
def test_every_replication_is_a_weighted_fit(panel, draws) -> None:
    fitted = MODEL.replace(draws=draws, replications=4, tol=1e-12).fit(panel, seed=4)
    for b in range(4):
        weights = weights_of(4, b, panel.persons, draws)
        again = MODEL.replace(cov_type=None, tol=1e-14).fit(panel, weights=weights)
        assert fitted.replicates.iloc[b].to_numpy() == pytest.approx(again.params.to_numpy(), abs=1e-6)


def test_workers_do_not_change_the_numbers(panel, fitted) -> None:
    parallel = MODEL.replace(n_jobs=2).fit(panel, seed=4)
    assert parallel.replicates.to_numpy() == pytest.approx(fitted.replicates.to_numpy(), abs=1e-12)
    assert not np.array_equal(MODEL.fit(panel, seed=5).replicates, fitted.replicates)


def test_an_interrupted_run_goes_on(panel, fitted, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "runs"
    calls = []
    original = replicates._Task.__call__

    def counted(self, seed):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self, seed)

    monkeypatch.setattr(replicates._Task, "__call__", counted)
    with pytest.raises(KeyboardInterrupt):
        MODEL.fit(panel, seed=4, checkpoint=folder)
    assert len(list(folder.glob("*.npy"))) == 3
    assert np.array_equal(MODEL.fit(panel, seed=4, checkpoint=folder).replicates, fitted.replicates)
    assert len(calls) == 4 + 5
    # More replications, or other workers, are the same run.
    longer = MODEL.replace(replications=10, n_jobs=1).fit(panel, seed=4, checkpoint=folder)
    assert np.array_equal(longer.replicates.iloc[:8], fitted.replicates)
    assert len(calls) == 11


def test_another_run_is_not_taken_for_this_one(panel, tmp_path) -> None:
    folder = tmp_path / "runs"
    model = MODEL.replace(replications=2)
    model.fit(panel, seed=4, checkpoint=folder)
    heavier = pd.Series(1.0 + (panel.persons % 2), index=panel.persons)
    others = [
        (model, {"seed": 5}),
        (model, {"seed": 4, "weights": heavier}),
        (model.replace(formula="occupation ~ educ"), {"seed": 4}),
        (model.replace(penalty="l2", alpha=0.1), {"seed": 4}),
    ]
    for other, options in others:
        with pytest.raises(OptionError, match="holds replications of other models, data or seed"):
            other.fit(panel, checkpoint=folder, **options)
    text = json.loads((folder / "bootstrap.json").read_text())
    assert set(text) == {"entropy", "spawn_key", "model", "draws", "data"}


def test_refits_from_the_estimate_equal_cold_ones(frame, monkeypatch) -> None:
    model = MNLogit("y ~ x + g", cov_type="bootstrap", replications=5, tol=1e-12)
    warm = model.fit(frame, seed=1)

    def cold(self, weights):
        problem = replicates.replace(self.setup.problem, weights=weights / weights.mean())
        return minimise(problem, tolerance=1e-14, max_iter=5000).point

    monkeypatch.setattr(replicates._Task, "_refit", cold)
    assert warm.replicates.to_numpy() == pytest.approx(model.fit(frame, seed=1).replicates.to_numpy(), abs=1e-6)


def test_draws_that_lose_an_outcome() -> None:
    df = choices_frame(60)
    df.loc[df["y"] == "walk", "y"] = "car"
    df.loc[df.index[:2], "y"] = "walk"
    model = MNLogit("y ~ 1", cov_type="bootstrap", replications=40)
    with pytest.raises(DataError, match=r"\d+ of 40 replications drew no row of some outcome.*draws='exponential'"):
        model.replace(draws="multinomial").fit(df, seed=0)
    assert np.isfinite(model.fit(df, seed=0).std_errors).all()


# Clusters, strata and weights


def test_clusters_by_a_column(frame) -> None:
    model = MNLogit("y ~ x", cov_type="bootstrap", cluster="village", replications=3, tol=1e-12)
    fitted = model.fit(frame, seed=2)
    villages = frame["village"].nunique()
    assert f"bootstrap of {villages} clusters of village, 3 replications, exponential weights" in fitted.cov_description
    assert fitted.glance().loc[0, "clusters"] == villages
    codes = pd.factorize(frame["village"])[0]
    for b in range(3):
        weights = pd.Series(weights_of(2, b, range(villages)).to_numpy()[codes], index=frame.index)
        again = MNLogit("y ~ x", cov_type=None, tol=1e-14).fit(frame, weights=weights)
        assert fitted.replicates.iloc[b].to_numpy() == pytest.approx(again.params.to_numpy(), abs=1e-6)


def test_strata_are_drawn_apart(frame) -> None:
    # The shares of a model of constants within strata do not vary if every stratum holds one outcome only.
    df = frame.assign(y=frame["region"])
    model = MNLogit("y ~ 1", cov_type="bootstrap", replications=5)
    within = model.replace(strata="region").fit(df, seed=0)
    assert np.abs(within.std_errors).max() < 1e-9
    assert model.fit(df, seed=0).std_errors.min() > 0.01
    assert "within strata of region" in within.cov_description
    # Clusters that are numbered anew in every stratum are different clusters.
    anew = frame.assign(number=frame["village"] // 3)
    one = MNLogit("y ~ x", cov_type="bootstrap", replications=3, cluster="number", strata="region").fit(anew, seed=0)
    assert one.glance().loc[0, "clusters"] == frame["village"].nunique()


def test_frequencies_are_repeated_rows() -> None:
    df = choices_frame(60)
    counts = pd.Series(1 + np.arange(60) % 4, index=df.index)
    longer = df.loc[df.index.repeat(counts)].reset_index(drop=True)
    model = MNLogit("y ~ x", cov_type="bootstrap", replications=300)
    short = model.replace(weight_type="frequency").fit(df, weights=counts, seed=0)
    long = model.fit(longer, seed=0)
    assert short.params.to_numpy() == pytest.approx(long.params.to_numpy(), abs=1e-7)
    # Both draw every copy of a row by itself, in another order: errors of 300 replications are within a few percent.
    assert short.std_errors.to_numpy() == pytest.approx(long.std_errors.to_numpy(), rel=0.2)
    assert short.glance().loc[0, "n"] == len(longer)


def test_near_the_clustered_errors_of_a_panel() -> None:
    panel = careers(400, 3)
    model = MNLogit("occupation ~ educ", replications=200)
    drawn, closed = (model.replace(cov_type=kind).fit(panel, seed=0) for kind in ("bootstrap", "clustered"))
    # Two hundred replications leave five percent of noise in a standard error.
    assert drawn.std_errors.to_numpy() == pytest.approx(closed.std_errors.to_numpy(), rel=0.2)
    ratio = np.log(drawn.std_errors / closed.std_errors).mean()
    assert abs(ratio) < 0.1
    assert "bootstrap of 400 persons" in drawn.cov_description


# What follows from replications


def test_covariance_intervals_and_functions(panel, fitted) -> None:
    drawn = fitted.replicates
    assert fitted.cov.to_numpy() == pytest.approx(np.cov(drawn.to_numpy(), rowvar=False))
    assert fitted.std_errors.to_numpy() == pytest.approx(drawn.std(ddof=1).to_numpy())
    code = panel.choices.codes[2]
    ratio = fitted.nlcom(f"[{code}]educ / [{code}]exper").estimates
    expected = (drawn[code, "educ"] / drawn[code, "exper"]).std(ddof=1)
    assert ratio["std_error"].iloc[0] == pytest.approx(expected)


def test_prediction_intervals_are_percentiles_of_refits(panel, fitted) -> None:
    wide = fitted.predict_proba(panel, interval=0.8)
    draws = []
    for b in range(8):
        weights = weights_of(4, b, panel.persons)
        draws.append(MODEL.replace(cov_type=None, tol=1e-14).fit(panel, weights=weights).predict_proba(panel))
    for j, code in enumerate(panel.choices.codes):
        values = np.array([d.to_numpy()[:, j] for d in draws])
        assert wide[code, "lower"].to_numpy() == pytest.approx(np.quantile(values, 0.1, axis=0), abs=1e-6)
        assert wide[code, "upper"].to_numpy() == pytest.approx(np.quantile(values, 0.9, axis=0), abs=1e-6)


def test_marginal_effects_vary_over_refits(panel, fitted) -> None:
    effects = fitted.marginal_effects(panel, ["educ"]).frame.set_index("outcome")
    draws = []
    for b in range(8):
        weights = weights_of(4, b, panel.persons)
        again = MODEL.replace(cov_type=None, tol=1e-14).fit(panel, weights=weights)
        draws.append(again.marginal_effects(panel, ["educ"]).frame.set_index("outcome")["estimate"])
    expected = pd.concat(draws, axis=1).std(axis=1, ddof=1)
    found = effects["std_error"]
    assert found.to_numpy() == pytest.approx(expected.loc[found.index].to_numpy(), rel=1e-4)


def test_a_penalty_is_held_and_the_table_says_so(panel) -> None:
    model = MODEL.replace(penalty="l2", alpha="cv", folds=2, replications=3, tol=1e-13)
    fitted = model.fit(panel, seed=1)
    assert fitted.cov_description.endswith("about the penalised value, alpha held")
    assert "alpha held" in plain_text(fitted)
    weights = weights_of(1, 0, panel.persons)
    # The scales of the penalty are those of the estimation sample, so that a hand-made refit needs them too.
    same = model.replace(alpha=fitted.alpha, replications=3).fit(panel, seed=1)
    assert same.replicates.to_numpy() == pytest.approx(fitted.replicates.to_numpy(), abs=1e-5)
    loose = model.replace(cov_type=None, alpha=fitted.alpha).fit(panel, weights=weights)
    assert fitted.replicates.iloc[0].to_numpy() == pytest.approx(loose.params.to_numpy(), abs=0.05)


def test_saved_replications_come_back(fitted, panel, tmp_path) -> None:
    from econllm import load

    fitted.save(tmp_path / "fit")
    back = load(tmp_path / "fit")
    assert back.replicates.equals(fitted.replicates)
    assert back.std_errors.equals(fitted.std_errors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replications": 1}, "replications=1 is not allowed"),
        ({"draws": "poisson"}, "draws='poisson' is not an option"),
        ({"cluster": ("a", "b")}, "draws clusters of one kind"),
        ({"penalty": "l1"}, "no valid standard errors"),
    ],
)
def test_refusals(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        MODEL.replace(**options)


def test_a_generator_cannot_resume(panel, tmp_path) -> None:
    with pytest.raises(OptionError, match="30000000 replications of 12 coefficients would take"):
        MODEL.replace(replications=30_000_000, n_jobs=0).fit(panel)
    with pytest.raises(OptionError, match="n_jobs=0"):
        MODEL.replace(n_jobs=0).fit(panel)

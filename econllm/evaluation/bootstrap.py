"""How much a comparison depends on which persons were in the training sample."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from econllm.base import Estimator, Results
from econllm.errors import DataError, OptionError, check_option
from econllm.options import Seed, child_seed
from econllm.panel import CareerPanel
from econllm.resampling import Draws, check_replications, fingerprint, person_weights, run_replications
from econllm.sample import Data
from econllm.tables import Column, Row, Table


@dataclass(frozen=True)
class Bootstrap:
    """Test scores of models refitted on reweighted training persons.

    Attributes
    ----------
    models : tuple of str
        Names of the models.
    scores : numpy.ndarray of float64, shape (replications, models, test persons)
        Sum of the log probabilities of each test person's outcomes, in nats.
    counts : numpy.ndarray, shape (test persons,)
        Transitions of each test person.
    test : str
        Digest of the test rows, by which :func:`compare` checks that it is given the same ones.
    specifications : tuple of str
        What was refitted, model by model.
    train : tuple of int
        Rows and persons of the training sample.
    draws : str
        How persons were drawn.
    held : tuple of str
        Tuning parameters that were chosen once and held fixed, in words.

    Notes
    -----
    Replications give variances, never levels: an exponentially weighted sample carries less information than the
    sample itself, so its perplexity is a little higher. Where perplexity is flat about the estimate (the test sample is
    large and of the same population), its standard deviation over replications overstates the one over fresh training
    samples, by at most the square root of three.
    """

    models: tuple[str, ...]
    scores: np.ndarray
    counts: np.ndarray
    test: str
    specifications: tuple[str, ...]
    train: tuple[int, int]
    draws: str
    held: tuple[str, ...]

    @property
    def replications(self) -> int:
        """Number of replications."""
        return len(self.scores)

    @property
    def mean_scores(self) -> pd.DataFrame:
        """Mean log score of the test rows, in nats: one row per replication, one column per model."""
        return pd.DataFrame(self.scores.sum(axis=2) / self.counts.sum(), columns=pd.Index(self.models, name="model"))

    @property
    def perplexity(self) -> pd.DataFrame:
        """Test perplexity: one row per replication, one column per model."""
        scores = self.mean_scores
        return pd.DataFrame(np.exp(-scores.to_numpy()), columns=scores.columns)

    @property
    def std_errors(self) -> pd.Series:
        """Standard deviation of the perplexity over replications: the part due to the training sample."""
        return self.perplexity.std(ddof=1).rename("std_errors")

    def difference_std_errors(self, reference: str) -> pd.Series:
        """Standard deviation, over replications, of the difference in mean log score to a reference model.

        Raises
        ------
        OptionError
            If there is no such model.
        """
        check_option("reference", reference, self.models)
        scores = self.mean_scores
        return scores.sub(scores[reference], axis=0).std(ddof=1).rename("std_errors")

    def summary(self) -> Table:
        """Perplexity over replications, model by model."""
        p = self.perplexity
        rows = [Row(name, [p[name].mean(), p[name].std(ddof=1), p[name].min(), p[name].max()]) for name in self.models]
        columns = [Column(c, ".3f") for c in ("mean", "std. dev.", "min", "max")]
        notes = [
            f"{self.replications} replications, {self.draws} weights on training persons; test sample fixed. The "
            "standard deviation is the part of a perplexity's variation that is due to the training sample; the mean "
            "is not an estimate of the perplexity, for a reweighted sample carries less information.",
            *self.held,
        ]
        return Table(columns, rows, title="Bootstrap over training persons", header="model", notes=notes)

    def __str__(self) -> str:
        return str(self.summary())


@dataclass(frozen=True)
class _Task:
    """One replication: weight the persons, refit every model, score the test sample."""

    models: tuple[Estimator, ...]
    train: CareerPanel
    test: CareerPanel
    validation: CareerPanel | None
    draws: Draws

    def __call__(self, seed: np.random.SeedSequence) -> np.ndarray:
        # Children by number, so that the draw of persons does not change when a model is added.
        for_weights, *for_fits = (child_seed(seed, i) for i in range(len(self.models) + 1))
        weights = person_weights(np.unique(self.train.origin_ids), for_weights, self.draws)
        group = np.unique(self.test.origin_ids, return_inverse=True)[1]
        out = np.empty((len(self.models), group.max() + 1))
        for m, (model, fit_seed) in enumerate(zip(self.models, for_fits, strict=True)):
            fitted = model.fit(self.train, validation=self.validation, weights=weights, seed=fit_seed)
            scores = fitted.log_likelihood(self.test).to_numpy()
            if len(scores) != len(group):
                raise DataError(
                    f"{model!r} predicts {len(scores)} of {len(group)} test rows; drop rows with missing values "
                    "before the panel is made."
                )
            out[m] = np.bincount(group, scores)
        return out


def bootstrap(
    models: Mapping[str, Estimator | Results],
    train: CareerPanel,
    test: CareerPanel,
    *,
    validation: CareerPanel | None = None,
    replications: int = 100,
    draws: Draws = "exponential",
    reselect: bool = False,
    n_jobs: int | None = None,
    seed: Seed = 0,
    folder: str | os.PathLike[str] | None = None,
) -> Bootstrap:
    """Refit models on reweighted training persons and score each refit on the same test sample.

    Parameters
    ----------
    models : mapping of str to Estimator or Results
        Specifications; of results, the specification is taken.
    train, test : CareerPanel
        Persons to draw from, and rows to score.
    validation : CareerPanel, optional
        Passed to every fit.
    replications : int
        Number of refits of every model.
    draws : {"exponential", "multinomial"}
        Weights of the persons, see :func:`econllm.resampling.person_weights`.
    reselect : bool
        Choose tuning parameters (alpha, smoothing) anew in every replication. By default they are chosen once, on the
        whole training sample, and held fixed, which the result says.
    n_jobs : int, optional
        Workers, through joblib; None honours ``joblib.parallel_config``.
    seed : int, SeedSequence or Generator
        Results do not depend on `n_jobs`.
    folder : path, optional
        Keeps finished replications, so that an interrupted run goes on.

    Returns
    -------
    Bootstrap

    Raises
    ------
    DataError
        If `train` or `test` is no CareerPanel, or a model leaves out test rows.
    OptionError
        Without models; see also :func:`econllm.resampling.run_replications`.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> from econllm.empirical import Empirical
    >>> train, test = simulate_careers(60, 3, seed=1).split([0.5, 0.5])
    >>> bootstrap({"add one": Empirical()}, train, test, replications=3).std_errors.shape
    (1,)
    """
    for name, data in (("train", train), ("test", test)):
        if not isinstance(data, CareerPanel):
            raise DataError(
                f"{name} is a {type(data).__name__}; the bootstrap draws persons, so it needs a CareerPanel."
            )
    check_models(models)
    check_option("draws", draws, ["exponential", "multinomial"])
    check_option("reselect", reselect, [True, False])
    check_replications(replications, seed, n_jobs, folder)
    names = tuple(str(name) for name in models)
    specs, held = [], []
    for name, given in models.items():
        spec, words = _held(given, train, validation, reselect, seed)
        specs.append(spec)
        if words:
            held.append(f"{name}: conditional on {words}.")
    task = _Task(tuple(specs), train, test, validation, draws)
    description = {
        "models": {name: repr(spec) for name, spec in zip(names, specs, strict=True)},
        "draws": draws,
        "data": [panel_digest(data) for data in (train, test, *([validation] if validation is not None else []))],
    }
    scores = run_replications(task, replications, seed, n_jobs=n_jobs, folder=folder, description=description)
    counts = np.unique(test.origin_ids, return_counts=True)[1]
    size = len(train), len(np.unique(train.origin_ids))
    texts = tuple(repr(spec) for spec in specs)
    return Bootstrap(names, scores, counts, panel_digest(test), texts, size, draws, tuple(held))


def check_models(models: Mapping[str, object]) -> None:
    """Raise unless models come as a non-empty mapping from names.

    Raises
    ------
    OptionError
        Saying what to give.
    """
    if not isinstance(models, Mapping):
        raise OptionError(f"models are a {type(models).__name__}; give a mapping from names, {{'name': model}}.")
    if not models:
        raise OptionError("models is empty: give at least one, {'name': model}.")


def _held(
    given: Estimator | Results, train: CareerPanel, validation: CareerPanel | None, reselect: bool, seed: Seed
) -> tuple[Estimator, str]:
    """Specification for refits with tuning parameters fixed at what the whole training sample chose; these in words."""
    spec = given.model if isinstance(given, Results) else given
    if not isinstance(spec, Estimator):
        raise OptionError(
            f"a model is a {type(spec).__name__}; give an estimator such as Empirical() or a fitted result."
        )
    spec = spec.without_inference
    if reselect or not spec.automatic:
        return spec, ""
    fitted = given if isinstance(given, Results) else spec.fit(train, validation=validation, seed=seed)
    chosen = fitted.chosen
    return spec.replace(**chosen), ", ".join(f"{option} = {_words(value)}" for option, value in chosen.items())


def _words(value: Any) -> str:
    values = value if isinstance(value, tuple) else (value,)
    return " and ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)


def panel_digest(panel: Data) -> str:
    """Digest of a panel's persons, times and outcomes: recognises the same rows without holding them.

    Raises
    ------
    DataError
        For a data frame.
    """
    if not isinstance(panel, CareerPanel):
        raise DataError(f"the bootstrap draws persons: give a CareerPanel, not a {type(panel).__name__}.")
    ids = panel.origin_ids
    plain = ids if ids.dtype != object else np.array([str(v) for v in ids])
    return fingerprint(plain, panel.times, panel.outcome)

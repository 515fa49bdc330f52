"""How much a comparison depends on which persons were in the training sample."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from econllm.base import Estimator, Results
from econllm.errors import DataError, OptionError, check_number, check_option, listing
from econllm.evaluation.components import Components, components
from econllm.options import Seed, child_seed
from econllm.panel import CareerPanel
from econllm.resampling import Draws, check_replications, fingerprint, person_weights, run_replications
from econllm.sample import Data, column_of
from econllm.tables import Column, Row, Table

# What is drawn unless a column is named.
PERSONS = "persons"


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Test scores of models refitted on reweighted training persons.

    Attributes
    ----------
    models : tuple of str
        Names of the models.
    scores : numpy.ndarray of float64, shape (replications, seeds, models, test persons)
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
    resample : str
        What was drawn: "persons", or the column whose values were.
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
    resample: str
    held: tuple[str, ...]

    @property
    def replications(self) -> int:
        """Number of weighted training samples."""
        return len(self.scores)

    @property
    def seeds(self) -> int:
        """Number of fits of every stochastic model on each of them."""
        return int(self.scores.shape[1])

    @property
    def mean_scores(self) -> pd.DataFrame:
        """Mean log score of the test rows, in nats: one row per replication and seed, one column per model."""
        means = self.scores.sum(axis=3) / self.counts.sum()
        index = pd.MultiIndex.from_product([range(self.replications), range(self.seeds)], names=["replication", "seed"])
        return pd.DataFrame(means.reshape(-1, len(self.models)), index, pd.Index(self.models, name="model"))

    @property
    def perplexity(self) -> pd.DataFrame:
        """Test perplexity: one row per replication and seed, one column per model."""
        scores = self.mean_scores
        return pd.DataFrame(np.exp(-scores.to_numpy()), scores.index, scores.columns)

    def components(self, reference: str | None = None, *, persons: np.ndarray | None = None) -> dict[str, Components]:
        """Variances of every model's mean log score over training samples and over seeds.

        Parameters
        ----------
        reference : str, optional
            Variances of the differences to this model instead.
        persons : numpy.ndarray, shape (test persons,), optional
            Weights of the test persons, such as survey weights, or zero and one for a group of them.

        Returns
        -------
        dict of str to Components

        Raises
        ------
        OptionError
            If there is no such model, or the weights are not one per test person.
        """
        weights = np.ones(len(self.counts)) if persons is None else np.asarray(persons, dtype=np.float64)
        if weights.shape != self.counts.shape:
            raise OptionError(f"persons has shape {weights.shape}; the bootstrap has {len(self.counts)} test persons.")
        # Persons of weight zero are not there: with infinite scores they would leave nothing but nan.
        kept = weights > 0
        scores = self.scores[..., kept] * weights[kept]
        if reference is not None:
            check_option("reference", reference, self.models)
            with np.errstate(invalid="ignore"):
                scores = scores - scores[:, :, [self.models.index(reference)]]
        counts = self.counts[kept] * weights[kept]
        return {name: components(scores[:, :, m], counts) for m, name in enumerate(self.models)}

    def summary(self) -> Table:
        """Perplexity over replications, and the standard errors due to training sample and seed, model by model."""
        p = self.perplexity
        rows = []
        for name, part in self.components().items():
            level = p[name].mean()
            errors = [level * np.sqrt(v) if not np.isnan(v) else None for v in (part.training, part.seed)]
            rows.append(Row(name, [level, *errors, p[name].min(), p[name].max()]))
        columns = [Column(c, ".3f") for c in ("mean", "SE, training", "SE, seed", "min", "max")]
        fits = "" if self.seeds == 1 else f", {self.seeds} seeds each"
        notes = [
            f"{self.replications} replications{fits}, {self.draws} weights on training {of_what(self.resample)}; test "
            "sample fixed. The mean is not an estimate of the perplexity, for a reweighted sample carries less "
            "information.",
            *seed_note(self.seeds),
            *self.held,
        ]
        return Table(columns, rows, title="Bootstrap over training persons", header="model", notes=notes)

    def __str__(self) -> str:
        return str(self.summary())


def seed_note(seeds: int) -> list[str]:
    """What a reader must know of the seed's part where every replication had one seed."""
    if seeds > 1:
        return []
    return ["One seed per replication: what is due to the training sample includes what is due to the seed."]


def of_what(resample: str) -> str:
    """What weights were drawn for, in words."""
    return "persons" if resample == PERSONS else f"groups of persons of the same {resample!r}"


@dataclass(frozen=True)
class _Task:
    """One replication: weight the persons, refit every model, score the test sample."""

    names: tuple[str, ...]
    models: tuple[Estimator, ...]
    train: CareerPanel
    test: CareerPanel
    validation: CareerPanel | None
    draws: Draws
    seeds: int
    units: pd.Series
    resample_validation: bool

    def __call__(self, seed: np.random.SeedSequence) -> np.ndarray:
        # Seeds of fits go by the model's name, so that nothing changes when a model is added or moved.
        for_weights, for_validation = child_seed(seed, 0), child_seed(seed, 1)
        drawn = person_weights(np.unique(self.units), for_weights, self.draws)
        weights = pd.Series(drawn.loc[self.units].to_numpy(), index=self.units.index)
        validation = self.validation
        if validation is not None and self.resample_validation:
            validation = validation.resample(for_validation)
        out = np.empty((self.seeds, len(self.models), len(np.unique(self.test.origin_ids))))
        for m, (name, model) in enumerate(zip(self.names, self.models, strict=True)):
            root = named_seed(seed, name)
            for r in range(self.seeds):
                if r and not model.stochastic:
                    out[r, m] = out[0, m]
                    continue
                fitted = model.fit(self.train, validation=validation, weights=weights, seed=child_seed(root, r))
                out[r, m] = person_sums(model, fitted, self.test)
        return out


def named_seed(seed: np.random.SeedSequence, name: str) -> np.random.SeedSequence:
    """The child of a seed that belongs to the model of a name.

    Examples
    --------
    >>> root = np.random.SeedSequence(0)
    >>> named_seed(root, "MNL").spawn_key == named_seed(root, "CAREER").spawn_key
    False
    """
    # Beyond the numbers that count children.
    number = 2**31 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:3], "big")
    return child_seed(seed, number)


def person_sums(model: Estimator, fitted: Results, test: CareerPanel) -> np.ndarray:
    """Sum of the log probabilities of each test person's outcomes, in nats, shape (test persons,).

    Raises
    ------
    DataError
        If the model leaves out test rows.
    """
    scores = fitted.log_likelihood(test).to_numpy()
    if len(scores) != len(test):
        raise DataError(
            f"{model!r} predicts {len(scores)} of {len(test)} test rows; drop rows with missing values before the "
            "panel is made."
        )
    return np.bincount(np.unique(test.origin_ids, return_inverse=True)[1], scores)


def bootstrap(
    models: Mapping[str, Estimator | Results],
    train: CareerPanel,
    test: CareerPanel,
    *,
    validation: CareerPanel | None = None,
    replications: int = 100,
    seeds: int = 1,
    resample: str = PERSONS,
    resample_validation: bool = False,
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
        Number of weighted training samples.
    seeds : int
        Fits of every stochastic model on each of them, from different seeds. Two or more tell what is due to the order
        of the examples and to initial values from what is due to the training sample; models without any chance in
        their training are fitted once.
    resample : str
        "persons", or a column that does not vary within persons, such as the household: persons with the same value
        then have the same weight.
    resample_validation : bool
        Draw the validation persons (one by one, whatever `resample` is) anew, with replacement, in every replication;
        by default they are fixed.
    draws : {"exponential", "multinomial"}
        Weights of the persons, see :func:`econllm.resampling.person_weights`.
    reselect : bool
        Choose tuning parameters (alpha, smoothing) anew in every replication. By default they are chosen once, on the
        whole training sample, and held fixed, which the result says ("conditional on"). Principal components of
        `embed` are part of a fit and found anew in both cases.
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
        Without models, or where `resample` varies within a person; see also
        :func:`econllm.resampling.run_replications`.

    Notes
    -----
    Athey et al. (arXiv 2406.17972) resample the training persons. Only sums of log probabilities by test person are
    kept. ``with joblib.parallel_config(backend="dask")`` (or "ray") around the call runs replications on a cluster.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> from econllm.empirical import Empirical
    >>> train, test = simulate_careers(60, 3, seed=1).split([0.5, 0.5])
    >>> bootstrap({"add one": Empirical()}, train, test, replications=3).perplexity.shape
    (3, 1)
    """
    for name, data in (("train", train), ("test", test), ("validation", validation)):
        if not isinstance(data, CareerPanel) and not (name == "validation" and data is None):
            raise DataError(
                f"{name} is a {type(data).__name__}; the bootstrap draws persons, so it needs a CareerPanel."
            )
    check_models(models)
    check_option("draws", draws, ["exponential", "multinomial"])
    check_option("reselect", reselect, [True, False])
    check_option("resample_validation", resample_validation, [True, False])
    check_number("seeds", seeds, minimum=1, integer=True)
    units = _units(train, resample)
    check_replications(replications, seed, n_jobs, folder)
    names = tuple(str(name) for name in models)
    specs, held = [], []
    for name, given in models.items():
        spec, words = _held(name, given, train, validation, reselect, seed)
        specs.append(spec)
        if words:
            held.append(f"{name}: conditional on {words}.")
    task = _Task(names, tuple(specs), train, test, validation, draws, seeds, units, resample_validation)
    description = None
    if folder is not None:
        description = {
            "models": [[name, repr(spec)] for name, spec in zip(names, specs, strict=True)],
            "draws": draws,
            "seeds": seeds,
            "resample": [resample, fingerprint(*_as_plain(units.index, units))],
            "resample_validation": resample_validation,
            "data": [panel_identity(data) for data in (train, test, *([validation] if validation is not None else []))],
        }
    scores = run_replications(task, replications, seed, n_jobs=n_jobs, folder=folder, description=description)
    counts = np.unique(test.origin_ids, return_counts=True)[1]
    size = len(train), len(np.unique(train.origin_ids))
    texts = tuple(repr(spec) for spec in specs)
    return Bootstrap(names, scores, counts, panel_digest(test), texts, size, draws, resample, tuple(held))


def _units(train: CareerPanel, resample: str) -> pd.Series:
    """What every training person is drawn with: the person, or the value of a column; indexed by person."""
    persons = pd.Index(train.origin_ids)
    if resample == PERSONS:
        return pd.Series(np.unique(persons), index=np.unique(persons))
    values = column_of(train, resample, "resample").set_axis(persons)
    if values.isna().any():
        raise DataError(f"resample column {resample!r} is missing in {int(values.isna().sum())} training rows.")
    varying = persons[values != values.groupby(level=0).transform("first")].unique()
    if len(varying):
        raise OptionError(
            f"resample={resample!r} varies within {len(varying)} persons, first {listing(varying, 3)}; give a column "
            "that is the same in all records of a person, such as the household."
        )
    return values.groupby(level=0).first()


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
    twice = [name for name, count in Counter(map(str, models)).items() if count > 1]
    if twice:
        raise OptionError(f"{twice[0]!r} is the name of two models, once they are written as text: rename one.")


def check_results(fitted: Mapping[str, object]) -> None:
    """Raise unless fitted models come as a non-empty mapping from names.

    Raises
    ------
    OptionError
        Naming what is no result.
    """
    check_models(fitted)
    for name, result in fitted.items():
        if not isinstance(result, Results):
            raise OptionError(f"model {name!r} is a {type(result).__name__}, not a result: fit it first.")


def specification(name: object, given: Estimator | Results) -> Estimator:
    """The specification of a model, which a result has too.

    Raises
    ------
    OptionError
        For anything else.
    """
    spec = given.model if isinstance(given, Results) else given
    if not isinstance(spec, Estimator):
        raise OptionError(
            f"model {name!r} is a {type(spec).__name__}; give an estimator such as Empirical() or a fitted result."
        )
    return spec


def _held(
    name: object,
    given: Estimator | Results,
    train: CareerPanel,
    validation: CareerPanel | None,
    reselect: bool,
    seed: Seed,
) -> tuple[Estimator, str]:
    """Specification for refits with tuning parameters fixed at what the whole training sample chose; these in words."""
    spec = specification(name, given)
    if reselect or not spec.automatic:
        return spec.without_inference, ""
    fitted = (
        given if isinstance(given, Results) else spec.without_inference.fit(train, validation=validation, seed=seed)
    )
    chosen = fitted.chosen
    return spec.replace(**chosen).without_inference, ", ".join(
        f"{option} = {_words(value)}" for option, value in chosen.items()
    )


def _words(value: Any) -> str:
    values = value if isinstance(value, tuple) else (value,)
    return " and ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in values)


def panel_digest(panel: Data) -> str:
    """Digest of a panel's rows, histories included: recognises the same ones without holding them.

    Raises
    ------
    DataError
        For a data frame.
    """
    if not isinstance(panel, CareerPanel):
        raise DataError(f"the bootstrap draws persons: give a CareerPanel, not a {type(panel).__name__}.")
    frame = panel.to_frame(history=True)
    rows = pd.util.hash_pandas_object(frame.astype(str), index=False).to_numpy()
    return fingerprint(rows, panel.is_target, *_as_plain(panel.origin_ids))


def panel_identity(panel: CareerPanel) -> list[str]:
    """Digests of a panel's rows, and of what models make of them: roles of columns, titles, wording of résumés."""
    words = panel.roles, panel.choices.codes, panel.choices.titles, panel.template, panel.text_columns
    return [panel_digest(panel), fingerprint(np.array([repr(words)], dtype=object))]


def _as_plain(*values: Any) -> list[np.ndarray]:
    """Arrays whose digest does not depend on how pandas holds them."""
    return [np.asarray(value).astype(str).astype(object) for value in values]

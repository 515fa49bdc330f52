"""Learning curves: how prediction improves with the number of training persons, and with persons of another sample."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm import metrics
from econllm.base import Estimator, Results
from econllm.errors import DataError, InfiniteScoreWarning, OptionError, check_number, listing, refusal, warn
from econllm.evaluation.bootstrap import check_models, named_seed, panel_identity, person_sums, specification
from econllm.options import Seed, child_seed, resolve_seed
from econllm.panel import CareerPanel
from econllm.resampling import check_replications, run_replications
from econllm.sample import read_sample
from econllm.tables import Column, Panel, Row, Table, TableExports, interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVEL = 0.95


@dataclass(frozen=True, repr=False)
class LearningCurve(TableExports):
    """Test perplexity of models by the number of training persons.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per model and size: model, size (training persons), added (persons of the other sample, on top),
        perplexity, std_error, lower, upper (95%, over test persons), sd (standard deviation of the perplexity over
        repeats; missing with a single one).
    notes : tuple of str
        What the numbers mean and on which sample.

    Notes
    -----
    The mean log score is averaged over repeats and carried to perplexity by exp, as are its standard error, clustered
    by test person, and interval. All fits are scored on the same rows: differences between them are far more certain
    than the intervals of each suggest (:func:`econllm.compare` tests them).

    Subsets of the same training persons overlap, all the more the larger they are, and the whole sample has only one:
    the standard deviation over repeats falls to what seeds alone contribute, and understates the variation over fresh
    samples.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> from econllm.empirical import Empirical
    >>> train, test = simulate_careers(200, 4, seed=1).split([0.7, 0.3])
    >>> curve = learning_curve({"Empirical": Empirical()}, train, test, [20, 140])
    >>> bool(curve.frame["perplexity"].is_monotonic_decreasing)
    True
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]

    def table(self) -> Table:
        """Lay the curves out as a table: a panel per model, a row per size."""
        repeated = bool(self.frame["sd"].notna().any())
        columns = [Column("Perplexity", ".3f"), Column("SE, test", ".3f"), Column(f"{100 * _LEVEL:g}% CI")]
        columns += [Column("SD over\nrepeats", ".3f")] if repeated else []
        panels = []
        for name, part in self.frame.groupby("model", sort=False):
            rows = []
            for r in part.to_dict("records"):
                label = f"{r['size']:,} + {r['added']:,} added" if r["added"] else f"{r['size']:,}"
                cells = [r["perplexity"], r["std_error"], interval(r["lower"], r["upper"], ".3f")]
                rows.append(Row(label, [*cells, *([r["sd"]] if repeated else [])]))
            panels.append(Panel(str(name), rows))
        return Table(
            columns, panels, title="Learning curves", header="Training persons", notes=self.notes, key="tab:learning"
        )

    def to_frame(self) -> pd.DataFrame:
        """Copy all numbers, unrounded."""
        return self.frame.copy()

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw perplexities with their intervals against the number of training persons.

        Parameters
        ----------
        path : path, optional
            File to save as well: .png, .pdf or .svg.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from econllm import plots

        label = f"test perplexity, {100 * _LEVEL:g}% CI"
        return plots.learning_curve(self.frame.rename(columns={"perplexity": "estimate"}), path=path, ylabel=label)


@dataclass(frozen=True)
class _Fit:
    """One fit: take persons, estimate a model, score the test sample."""

    names: tuple[str, ...]
    models: tuple[Estimator, ...]
    train: CareerPanel
    test: CareerPanel
    validation: CareerPanel | None
    joined: CareerPanel | None
    points: tuple[tuple[int, int], ...]
    root: np.random.SeedSequence

    def __call__(self, seed: np.random.SeedSequence) -> np.ndarray:
        # Every fit is kept and resumed by itself. Its number says which it is; its randomness comes from the repeat, so
        # that all sizes of one repeat share their persons and all models theirs.
        number = seed.spawn_key[-1]
        repeat, rest = divmod(number, len(self.points) * len(self.models))
        point, m = divmod(rest, len(self.models))
        source = child_seed(self.root, repeat)
        sample = self._sample(*self.points[point], source)
        fitted = self.models[m].fit(sample, validation=self.validation, seed=named_seed(source, self.names[m]))
        if "improper" in fitted.flags:
            raise OptionError(
                f"{self.models[m]!r} is improper: its probabilities sum to more than one, so its perplexity flatters "
                "it; leave it out."
            )
        return person_sums(self.models[m], fitted, self.test)

    def _sample(self, size: int, added: int, source: np.random.SeedSequence) -> CareerPanel:
        """Take the first persons of the repeat's order: smaller samples are parts of larger ones."""
        if self.joined is not None and added:
            # Persons of the joined panel are numbered, those of the training sample first.
            order = size + _permutation(len(self.joined.persons) - size, child_seed(source, 1))
            return self.joined.subset([*range(size), *order[:added]])
        persons = np.unique(self.train.origin_ids)
        taken = persons[_permutation(len(persons), child_seed(source, 0))[:size]]
        return self.train.subset(np.unique(self.train.person_ids[np.isin(self.train.origin_ids, taken)]))


def learning_curve(
    models: Mapping[str, Estimator | Results],
    train: CareerPanel,
    test: CareerPanel,
    sizes: Sequence[float],
    *,
    validation: CareerPanel | None = None,
    repeats: int = 1,
    extra: CareerPanel | None = None,
    extra_sizes: Sequence[float] = (),
    seed: Seed = 0,
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> LearningCurve:
    """Fit models on more and more training persons and score every fit on the same test sample.

    Parameters
    ----------
    models : mapping of str to Estimator or Results
        Specifications; of results, the specification is taken. What they choose from the data (alpha, smoothing) is
        chosen anew at every size.
    train, test : CareerPanel
        Persons to learn from, and rows to score.
    sizes : sequence of int or float
        Numbers of training persons; a fraction up to 1.0 is a share of them.
    validation : CareerPanel, optional
        Passed to every fit, whole.
    repeats : int
        Number of orders of the persons. Within one, smaller samples are parts of larger ones.
    extra : CareerPanel, optional
        Another panel with the same occupations and columns, whose persons are added to the whole of `train`: what are
        more data worth? Persons with the same identifier in `train` and `extra` are taken for different ones.
    extra_sizes : sequence of int or float
        Numbers (or shares) of its persons to add.
    seed : int, SeedSequence, Generator or None
        Results do not depend on `n_jobs`.
    n_jobs : int, optional
        Workers, through joblib; None honours ``joblib.parallel_config``.
    folder : path, optional
        Keeps finished fits, so that an interrupted run goes on.

    Returns
    -------
    LearningCurve
        Prints as text; ``to_latex``, ``to_html``, ``to_markdown`` and ``plot`` export it.

    Raises
    ------
    DataError
        If data are no panels, test persons are among those to learn from, `extra` has other occupations or columns, or
        a model leaves out test rows.
    OptionError
        For sizes that are no numbers of persons, fewer than two of them, models that are no estimators, or an improper
        model; see also :func:`econllm.resampling.run_replications`.

    Warns
    -----
    InfiniteScoreWarning
        If a model gave probability zero to something that happened.

    Notes
    -----
    The choice set is that of `train` at every size, so that all perplexities are over the same outcomes; how a model
    treats those that a small sample lacks is part of what the curve shows.

    Athey et al. (arXiv 2406.17972) report that a smaller language model fine-tuned on more careers, some of another
    survey, predicts better than a larger one fine-tuned on fewer. `extra` shows it: give models of several sizes, and
    the other survey.

    Examples
    --------
    >>> from econllm.datasets import simulate_careers
    >>> from econllm.empirical import Empirical
    >>> train, test = simulate_careers(100, 4, seed=1).split([0.7, 0.3])
    >>> learning_curve({"Empirical": Empirical()}, train, test, [0.5, 1.0]).frame[["model", "size", "added"]]
           model  size  added
    0  Empirical    35      0
    1  Empirical    70      0
    """
    _check_panels(train, test, validation, extra)
    names, specs = _specifications(models)
    points = _points(train, sizes, extra, extra_sizes)
    check_number("repeats", repeats, minimum=1, integer=True)
    fits = repeats * len(points) * len(specs)
    check_replications(fits, seed, n_jobs, folder)
    joined = None if extra is None else _join(train, extra)
    root = resolve_seed(seed)
    task = _Fit(names, specs, train, test, validation, joined, points, root)
    description = None
    if folder is not None:
        given = {"train": train, "test": test, "validation": validation, "extra": extra}
        description = {
            "models": [[name, repr(spec)] for name, spec in zip(names, specs, strict=True)],
            "points": [list(point) for point in points],
            "data": {name: panel_identity(panel) for name, panel in given.items() if panel is not None},
        }
    sums = run_replications(task, fits, root, n_jobs=n_jobs, folder=folder, description=description)
    counts = np.unique(test.origin_ids, return_counts=True)[1]
    frame = _frame(names, points, sums.reshape(repeats, len(points), len(specs), len(counts)), counts)
    return LearningCurve(frame, _notes(train, test, repeats, extra))


def _frame(
    names: Sequence[str], points: Sequence[tuple[int, int]], sums: np.ndarray, counts: np.ndarray
) -> pd.DataFrame:
    """Perplexities from the summed log scores of test persons, shape (repeats, points, models, persons)."""
    levels = np.exp(-sums.sum(axis=3) / counts.sum())
    if np.isinf(levels).any():
        zero = [name for m, name in enumerate(names) if np.isinf(levels[:, :, m]).any()]
        warn(
            f"{listing(zero, 3)} gave probability zero to what happened, so that perplexities are infinite.",
            InfiniteScoreWarning,
        )
    rows = []
    for m, name in enumerate(names):
        for p, (size, added) in enumerate(points):
            # A person's mean score, weighted by the person's rows, has the ratio's mean and linearised error.
            scores = sums[:, p, m].mean(axis=0) / counts
            found = metrics.perplexity(scores, np.arange(len(counts)), counts, _LEVEL)
            spread = np.std(levels[:, p, m], ddof=1) if len(levels) > 1 and np.isfinite(found.value) else np.nan
            rows.append((name, size, added, found.value, found.std_error, *found.conf_int, spread))
    columns = ["model", "size", "added", "perplexity", "std_error", "lower", "upper", "sd"]
    return pd.DataFrame(rows, columns=columns)


def _notes(train: CareerPanel, test: CareerPanel, repeats: int, extra: CareerPanel | None) -> tuple[str, ...]:
    persons = len(np.unique(train.origin_ids))
    out = [
        f"Test sample: {len(test):,} transitions of {len(np.unique(test.origin_ids)):,} persons; {len(test.choices)} "
        f"outcomes. Training sample: {len(train):,} transitions of {persons:,} persons.",
        "Smaller training samples are parts of larger ones. SE, test, and intervals are clustered by person, of these "
        "fitted models on other test samples; intervals are on the log score, carried to perplexity by exp.",
    ]
    if repeats > 1:
        out.append(
            f"Mean log scores of {repeats} orders of the training persons. Their standard deviation falls to that over "
            "seeds at the whole sample, of which there is only one."
        )
    if extra is not None:
        added = len(np.unique(extra.origin_ids))
        out.append(f"Added persons are from another sample of {len(extra):,} transitions of {added:,} persons.")
    return tuple(out)


def _permutation(n: int, seed: np.random.SeedSequence) -> np.ndarray:
    return np.random.default_rng(seed).permutation(n)


def _specifications(models: Mapping[str, Estimator | Results]) -> tuple[tuple[str, ...], tuple[Estimator, ...]]:
    check_models(models)
    specs = [specification(name, given).without_inference for name, given in models.items()]
    return tuple(str(name) for name in models), tuple(specs)


def _points(
    train: CareerPanel, sizes: Sequence[float], extra: CareerPanel | None, extra_sizes: Sequence[float]
) -> tuple[tuple[int, int], ...]:
    """Numbers of training and of added persons, fit by fit."""
    persons = len(np.unique(train.origin_ids))
    own = _persons_of("sizes", sizes, persons, "train")
    if extra is None:
        more = []
        if len(extra_sizes):
            raise OptionError("extra_sizes are numbers of persons of another panel: give it as extra=.")
    else:
        more = _persons_of("extra_sizes", extra_sizes, len(np.unique(extra.origin_ids)), "extra")
        if not more:
            raise OptionError("extra_sizes is empty: say how many persons of extra to add, such as extra_sizes=[1.0].")
    if len(own) + len(more) < 2:
        raise OptionError(f"sizes holds {len(own)} number of persons; a curve needs at least two points.")
    return (*((size, 0) for size in own), *((persons, added) for added in more))


def _persons_of(option: str, given: Sequence[float], persons: int, panel: str) -> list[int]:
    """Numbers of persons, rising."""
    if isinstance(given, str | Real) or not np.iterable(given):
        raise OptionError(refusal(option, given, "no list", "give numbers of persons, such as [100, 200, 1.0]"))
    out: list[int] = []
    for value in given:
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if whole and value > persons:
            raise OptionError(f"{option} asks for {int(value):,} persons, but {panel} has only {persons:,}.")
        share = isinstance(value, Real) and not isinstance(value, Integral) and 0 < value <= 1
        if not share and not (whole and value >= 1):
            advice = f"give whole numbers from 1 to {persons}, or shares above 0 and up to 1.0"
            raise OptionError(refusal(f"{option} entry", value, "not allowed", advice))
        out.append(int(value) if whole else max(round(value * persons), 1))
    twice = [size for size in dict.fromkeys(out) if out.count(size) > 1]
    if twice:
        raise OptionError(f"{option} asks for the same number of persons more than once: {listing(twice)}.")
    return sorted(out)


def _check_panels(
    train: CareerPanel, test: CareerPanel, validation: CareerPanel | None, extra: CareerPanel | None
) -> None:
    """Raise unless all data are panels, no test person is learnt from, and test occupations can be predicted."""
    parts = {"train": train, "test": test, "validation": validation, "extra": extra}
    for name, panel in parts.items():
        if panel is None and name in ("validation", "extra"):
            continue
        if not isinstance(panel, CareerPanel):
            raise DataError(f"{name} is a {type(panel).__name__}; a learning curve takes persons from a CareerPanel.")
        if not len(panel):
            raise DataError(f"{name} has no rows.")
    tested = pd.Index(np.unique(test.origin_ids))
    for name, panel in parts.items():
        if name == "test" or panel is None:
            continue
        shared = tested[tested.isin(panel.origin_ids)]
        if len(shared):
            advice = "If these are other persons, give them other identifiers." if name == "extra" else ""
            raise DataError(
                f"{len(shared)} of {len(tested)} persons of test are in {name} too, first {listing(shared, 3)}; a "
                f"model must not learn from those it is tested on. {advice}".rstrip()
            )
    read_sample(test, None, train.choices)


def _join(train: CareerPanel, extra: CareerPanel) -> CareerPanel:
    """Put the records of two panels into one: persons are numbered, those of the first panel first.

    Levels of factors are those of both. True probabilities of simulated careers are not carried over.
    """
    _check_same_columns(train, extra)
    frames = [panel.to_frame(history=True) for panel in (train, extra)]
    for column in frames[0].columns:
        own, other = (frame[column] for frame in frames)
        if isinstance(own.dtype, pd.CategoricalDtype) and isinstance(other.dtype, pd.CategoricalDtype):
            levels = own.cat.categories.union(other.cat.categories, sort=False)
            for frame in frames:
                frame[column] = pd.Categorical(frame[column], levels, own.dtype.ordered)
    roles = train.roles
    ids = [pd.factorize(frame[roles.person])[0] for frame in frames]
    frame = pd.concat(frames, ignore_index=True)
    frame[roles.person] = np.concatenate([ids[0], ids[0].max() + 1 + ids[1]])
    words = train.text_columns
    frame.attrs = {"variable_labels": words.labels, "value_labels": words.values}  # noqa: PD011
    joined = CareerPanel(
        frame,
        person=roles.person,
        time=roles.time,
        occupation=roles.occupation,
        titles=train.choices,
        static=_declared(roles.static, roles.by_outcome),
        dynamic=_declared(roles.dynamic, roles.by_outcome),
        lagged=roles.lagged,
        weights=roles.weights,
        template=train.template,
    )
    target = np.concatenate([train.is_target, extra.is_target])
    return joined if target.all() else joined._predicting(target, np.ones(len(target), dtype=bool))


def _declared(columns: tuple[Hashable, ...], by_outcome: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """Columns as a user declares them: x[alt] for all x[code]."""
    return tuple(dict.fromkeys(f"{str(c).rpartition('[')[0]}[alt]" if c in by_outcome else c for c in columns))


def _check_same_columns(train: CareerPanel, extra: CareerPanel) -> None:
    """Raise unless two panels have the same occupations and the same columns in the same roles."""
    if train.choices != extra.choices:
        ours, theirs = train.choices.codes, extra.choices.codes
        apart = [code for code in (*ours, *theirs) if (code in ours) != (code in theirs)]
        what = (
            f"different occupations, {listing(apart, 3)}" if apart else "their occupations in another order or wording"
        )
        raise DataError(f"train and extra have {what}; make both panels with titles= the same ChoiceSet.")
    for field in dataclasses.fields(train.roles):
        own, other = getattr(train.roles, field.name), getattr(extra.roles, field.name)
        if own != other:
            raise DataError(
                f"train and extra differ in {field.name}: {_words(own)} against {_words(other)}; make both panels with "
                "the same columns in the same roles."
            )
    frames = train.to_frame(), extra.to_frame()
    for column in train.roles.known + train.roles.lagged:
        kinds = [isinstance(frame[column].dtype, pd.CategoricalDtype) for frame in frames]
        if kinds[0] != kinds[1]:
            words = ["text" if kind else "numbers" for kind in kinds]
            raise DataError(
                f"column {column!r} holds {words[0]} in train and {words[1]} in extra; convert one of them."
            )


def _words(columns: Any) -> str:
    return listing(columns, 5) or "none" if isinstance(columns, tuple) else repr(columns)

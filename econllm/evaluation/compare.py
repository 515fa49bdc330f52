"""The comparison table: which model predicts best, by how much, and how sure that is."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from econllm import metrics
from econllm.base import Results
from econllm.errors import DataError, OptionError, check_number, check_option, did_you_mean
from econllm.evaluation.bootstrap import Bootstrap, check_results, of_what, panel_digest, seed_note
from econllm.evaluation.comparison import THIS_PROCEDURE, Comparison
from econllm.evaluation.context import Context, Refits, ScoredModel, average, score_model
from econllm.evaluation.multiple import confidence_set, holm, multiplier_draws, romano_wolf
from econllm.evaluation.rows import read_rows
from econllm.options import Seed, resolve_seed
from econllm.panel import CareerPanel
from econllm.sample import Data, group_labels, groups_of

Adjust = Literal["holm", "romano-wolf"]


def compare(
    fitted: Mapping[str, Results],
    test: Data,
    *,
    reference: str | None = None,
    validation: Data | None = None,
    by: str | None = None,
    weights: bool | Literal["both"] = False,
    cluster: str = "person",
    level: float = 0.95,
    adjust: Adjust | None = "holm",
    draws: int = 1999,
    seed: Seed = 0,
    bootstrap: Bootstrap | None = None,
) -> Comparison:
    """Compare fitted models on the same test rows.

    Parameters
    ----------
    fitted : mapping of str to Results
        The models, by the names under which they appear.
    test : CareerPanel or DataFrame
        Rows with outcomes that were not used in estimation.
    reference : str, optional
        Model that the others are compared with; by default the first one that is not improper.
    validation : CareerPanel or DataFrame, optional
        Rows by which one would choose a model without looking at the test rows: adds their perplexity, and says which
        model they pick.
    by : str, optional
        Column whose values define groups, "history" (first records against the others), "move" (first records, stayers
        and movers, by what happened) or "decade".
    weights : bool or "both"
        Weight rows by the panel's survey weights; "both" leaves rows unweighted and adds the weighted perplexity.
    cluster : str
        "person", or a column.
    level : float
        Coverage of the intervals.
    adjust : {"holm", "romano-wolf"} or None
        Adjustment of the p-values for the number of models (and groups) that are compared with the reference.
    draws : int
        Random weightings of test persons, for "romano-wolf" and the model confidence set.
    seed : int, SeedSequence or Generator
        Of these draws.
    bootstrap : Bootstrap, optional
        Adds what is due to the training sample, and to the chance of training. Models that it has not refitted go
        without, and are named. Goes with groups and weights that do not vary within persons.

    Returns
    -------
    Comparison
        Prints as text; ``to_latex``, ``to_html``, ``to_markdown`` and ``plot`` export it; ``wins`` and
        ``decomposition`` are further tables.

    Raises
    ------
    DataError
        If the test sample is empty, models predict different rows or occupations, or the bootstrap is of another test
        sample.
    OptionError
        Without models, for a reference that is none of them or is improper, or an option that is not allowed.

    Notes
    -----
    Inference is on mean log scores, clustered by person, and carried to perplexity by exp. Differences are paired: both
    models are scored on the same rows. "This fitted model" describes these fits on other samples of test persons, "this
    procedure" new training samples, seeds and test samples; see :mod:`econllm.evaluation.components`. The test that two
    fitted models are equally good on average is that of Diebold and Mariano (1995), with persons for the time series.
    Several models: Holm (1979), Romano and Wolf (2005), Hansen, Lunde and Nason (2011); see
    :mod:`econllm.evaluation.multiple`.
    """
    check_results(fitted)
    metrics.check_level(level)
    check_option("weights", weights, [True, False, "both"])
    check_option("adjust", adjust, ["holm", "romano-wolf", None])
    check_number("draws", draws, minimum=100, integer=True)
    root = resolve_seed(seed)
    if not len(test):
        raise DataError("the test sample has no rows.")
    rows = read_rows({str(name): result for name, result in fitted.items()}, test, weights is not False, cluster)
    scored = {str(name): score_model(result, test) for name, result in fitted.items()}
    base = _reference(scored, reference)
    context = Context(
        scored,
        base,
        rows,
        rows.weights if weights is True else None,
        rows.weights if weights == "both" else None,
        level,
        _refits(bootstrap, test, scored, rows.kept),
    )
    whole = np.zeros(len(rows.outcome), dtype=np.int64)
    groups = whole if by is None else group_labels(test, rows.sample, by)[rows.kept]
    masks = {group: groups == group for group in groups_of(groups)}
    frame, pairs = (_joined({g: make(m) for g, m in masks.items()}, by) for make in (context.frame, context.pairs))
    pairs["p_adjusted"] = _holm_over_pairs(pairs)
    # Groups share clusters: one draw of weights for all of them keeps what their means have in common.
    influence, clusters = zip(*(context.influence(mask) for mask in masks.values()), strict=True)
    drawn = multiplier_draws(influence, clusters, draws, root)
    frame["set_p_value"] = _best_sets(frame, drawn)
    frame["p_adjusted"] = _adjusted(frame, drawn, np.repeat(clusters, len(scored)), base, adjust)
    frame["validation"] = np.nan if validation is None else _validation(scored, validation, weights is True, frame)
    best = frame["validation"].where(frame["rank"].notna()).min()
    frame["picked"] = (frame["validation"] == best) & np.isfinite(best)
    if "difference_procedure_p_value" in frame:
        frame["difference_procedure_p_adjusted"] = _adjusted_procedure(frame, base, adjust)
    sources = _sources(bootstrap, list(scored), cluster)
    version = f"econllm {importlib.metadata.version('econllm')}."
    notes = [*context.notes(cluster), *_notes(frame, masks, by, adjust), *sources, version]
    return Comparison(frame, pairs, base, tuple(notes), (*sources, version) if sources else (), level, adjust)


def _notes(frame: pd.DataFrame, masks: dict[Any, np.ndarray], by: str | None, adjust: Adjust | None) -> list[str]:
    """What a reader must know of groups, of p-values and of the choice by validation rows."""
    out = []
    left = int((~np.any(list(masks.values()), axis=0)).sum())
    if left:
        out.append(f"{left:,} rows in which {by} is missing are in no group.")
    if adjust is not None and frame["p_adjusted"].notna().sum() > 1:
        procedure = " (this procedure: Holm)" if "procedure_std_error" in frame and adjust != "holm" else ""
        out.append(f"p adjusted for the number of comparisons by the method of {_AUTHORS[adjust]}{procedure}.")
    picked = frame.index.get_level_values(-1)[frame["picked"]]
    if len(picked):
        out.append(f"Validation rows pick {picked[0]}; test rows were not used in that choice.")
    return out


def _joined(parts: dict[object, pd.DataFrame], by: str | None) -> pd.DataFrame:
    if by is None:
        return next(iter(parts.values()))
    return pd.concat(parts, names=[by])


def _holm_over_pairs(pairs: pd.DataFrame) -> np.ndarray:
    """Adjust over all pairs, each of which stands there twice with one p-value."""
    half = [(names[-2] < names[-1]) for names in pairs.index]
    out = pd.Series(np.nan, index=pairs.index)
    out[half] = holm(pairs["p_value"].to_numpy()[half])
    mirrored = [(*names[:-2], names[-1], names[-2]) for names in pairs.index]
    return np.where(half, out, out.reindex(mirrored))


def _best_sets(frame: pd.DataFrame, drawn: np.ndarray) -> np.ndarray:
    """P-values of the confidence set of the models that may be ranked, group by group."""
    models = frame.index.get_level_values(-1).nunique()
    out = np.full(len(frame), np.nan)
    for start in range(0, len(frame), models):
        part = np.arange(start, start + models)
        ranked = part[frame["rank"].notna().to_numpy()[part]]
        means = -np.log(frame["perplexity"].to_numpy()[ranked])
        out[ranked] = confidence_set(means, drawn[:, ranked])
    return out


def _adjusted(
    frame: pd.DataFrame, drawn: np.ndarray, clusters: np.ndarray, reference: str, adjust: Adjust | None
) -> np.ndarray:
    """P-values of the differences to the reference, adjusted for all models and groups."""
    names = frame.index.get_level_values(-1)
    tested = (names != reference) & frame["rank"].notna().to_numpy()
    out = np.full(len(frame), np.nan)
    if adjust == "romano-wolf":
        models = names.nunique()
        at = np.arange(len(frame)) // models * models + list(names).index(reference)
        estimates, errors = (frame[c].to_numpy()[tested] for c in ("difference", "difference_std_error"))
        out[tested] = romano_wolf(estimates, errors, (drawn - drawn[:, at])[:, tested])
        # An approximation must not be sharper than the test of the single hypothesis. Draws over few clusters span few
        # dimensions, in which models look more alike than they are: there Holm's method is the lower limit.
        p = frame["p_value"].to_numpy()[tested]
        few = clusters[tested] < max(_ENOUGH, tested.sum())
        out[tested] = np.fmax(out[tested], np.where(few, holm(p), p))
    else:
        p = frame["p_value"].to_numpy()[tested]
        out[tested] = p if adjust is None else holm(p)
    return out


def _adjusted_procedure(frame: pd.DataFrame, reference: str, adjust: Adjust | None) -> np.ndarray:
    """The same with all sources of chance; joint draws of these do not exist, so that it is Holm's in any case."""
    tested = (frame.index.get_level_values(-1) != reference) & frame["rank"].notna().to_numpy()
    p = np.where(tested, frame["difference_procedure_p_value"], np.nan)
    return p if adjust is None else holm(p)


def _validation(scored: dict[str, ScoredModel], validation: Data, weighted: bool, frame: pd.DataFrame) -> np.ndarray:
    """Perplexity of every model over the same validation rows."""
    weights = read_rows({name: s.result for name, s in scored.items()}, validation, weighted, "person").weights
    found = {
        name: float(np.exp(-average(s.result.log_likelihood(validation).to_numpy(), weights)))
        for name, s in scored.items()
    }
    return frame.index.get_level_values(-1).map(found).to_numpy(dtype=np.float64)


def _reference(scored: dict[str, ScoredModel], reference: str | None) -> str:
    improper = [name for name, s in scored.items() if "improper" in s.result.flags]
    if reference is None:
        return next((name for name in scored if name not in improper), next(iter(scored)))
    reference = str(reference)
    if reference not in scored:
        raise OptionError(f"reference={reference!r} is none of the models.{did_you_mean(reference, scored)}")
    if reference in improper:
        raise OptionError(
            f"reference={reference!r} is improper (its probabilities sum to more than one): choose another."
        )
    return reference


def _check_bootstrap(bootstrap: Bootstrap, test: Data, scored: dict[str, ScoredModel]) -> None:
    if bootstrap.test != panel_digest(test):
        raise DataError("the bootstrap was made on another test sample.")
    if not any(name in bootstrap.models for name in scored):
        raise OptionError(f"the bootstrap has none of these models; it has {', '.join(bootstrap.models)}.")
    refitted = dict(zip(bootstrap.models, bootstrap.specifications, strict=True))
    for name, s in scored.items():
        if name not in refitted:
            continue
        model, info = s.result.model.without_inference, s.result.info
        if refitted[name] not in (repr(model), repr(model.replace(**s.result.chosen).without_inference)):
            raise OptionError(
                f"the bootstrap refitted another model under the name {name!r}: {refitted[name]}. Give bootstrap() the "
                "fitted results, so that it holds what they chose."
            )
        if (info.rows, info.persons) != bootstrap.train:
            raise DataError(
                f"model {name!r} was fitted on {info.rows:,} rows of {info.persons:,} persons and the bootstrap on "
                f"{bootstrap.train[0]:,} of {bootstrap.train[1]:,}; use the same training sample."
            )


def _refits(bootstrap: Bootstrap | None, test: Data, scored: dict[str, ScoredModel], kept: np.ndarray) -> Refits | None:
    if bootstrap is None:
        return None
    _check_bootstrap(bootstrap, test, scored)
    assert isinstance(test, CareerPanel)  # it has a digest
    if not kept.all():
        raise DataError(f"models drop {int((~kept).sum())} test rows and the bootstrap has all: drop them first.")
    return Refits(bootstrap, np.unique(test.origin_ids, return_inverse=True)[1])


def _sources(bootstrap: Bootstrap | None, names: list[str], cluster: str) -> tuple[str, ...]:
    """What the standard errors of the procedure hold."""
    if bootstrap is None:
        return ()
    fits = f", {bootstrap.seeds} seeds each" if bootstrap.seeds > 1 else ""
    refits = (
        f"{THIS_PROCEDURE.capitalize()}: training sample, seeds and test sample (clustered by {cluster}) together, by "
        f"{bootstrap.replications} refits{fits} with {bootstrap.draws} weights on training "
        f"{of_what(bootstrap.resample)}. Parts that come out below zero are set to zero."
    )
    lacking = [name for name in names if name not in bootstrap.models]
    without = [f"Not refitted: {', '.join(lacking)}."] if lacking else []
    return (refits, *without, *seed_note(bootstrap.seeds), *bootstrap.held)


# Clusters from which on draws over them are taken for the distribution of several statistics.
_ENOUGH = 10
_AUTHORS = {"holm": "Holm", "romano-wolf": "Romano and Wolf"}

"""Which standard errors an estimation gets, and why it gets none where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from econllm.errors import CovarianceWarning, DataError, OptionError, warn
from econllm.logit import newton
from econllm.logit.covariance import (
    NoCovarianceError,
    covariance,
    describe,
    hessian_bytes,
    to_reported,
    to_solver,
)
from econllm.logit.sampling import Kind, Sampling
from econllm.logit.solver import Solution
from econllm.multinomial.estimates import Inference
from econllm.multinomial.identification import restricted
from econllm.multinomial.replicates import bootstrap_coefficients
from econllm.multinomial.setup import Setup
from econllm.options import Seed
from econllm.sample import Data, cluster_labels, column_of, read_sample

if TYPE_CHECKING:
    from econllm.multinomial.fitting import Rows
    from econllm.multinomial.model import MNLogit

_MOST_REPLICATES = 5e7
# Share of the largest variance that rounding makes of none.
_HELD = 1e-14


@dataclass(frozen=True, eq=False)
class Plan:
    """What standard errors are to be computed, decided before estimation.

    Attributes
    ----------
    kind : str or None
        The kind of covariance.
    reason : str
        Why there is none.
    labels : tuple of numpy.ndarray
        Clusters of the rows.
    strata : numpy.ndarray or None
        Strata of the rows.
    names : tuple of str
        What clusters are called.
    """

    kind: Kind | Literal["bootstrap"] | None
    reason: str
    labels: tuple[np.ndarray, ...] = ()
    strata: np.ndarray | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def make(cls, model: MNLogit, setup: Setup, rows: Rows, data: Data) -> Plan:
        """Decide, and raise for what cannot be had.

        Raises
        ------
        OptionError
            For a kind that the weights exclude, or that is too large to compute.
        DataError
            For strata or clusters with missing values, or persons in several strata.
        """
        kind, reason = _kind(model, setup, rows)
        if kind is None:
            return cls(None, reason)
        labels, strata = _labels(model, kind, rows, data), _strata(model, rows, data)
        if strata is not None and model.cluster is None and rows.sample.of_panel:
            pairs = np.unique(np.column_stack([*labels, strata]), axis=0) if labels else np.zeros((0, 2))
            several = len(pairs) - len(np.unique(pairs[:, 0]))
            if several:
                raise DataError(
                    f"strata={model.strata!r} changes within persons ({several:,} times), but persons are the "
                    "clusters; give a column that is fixed for each person, or cluster= within its strata."
                )
        return cls(kind, "", labels, strata, _names(model, rows))


def infer(
    model: MNLogit,
    setup: Setup,
    solution: Solution,
    rows: Rows,
    plan: Plan,
    *,
    base: int | None,
    seed: Seed,
    checkpoint: str | Path | None,
) -> Inference:
    """Estimate the covariance of the coefficients as the options say.

    Parameters
    ----------
    model : MNLogit
        Options.
    setup, solution : Setup, Solution
        The estimate.
    rows : Rows
        Estimation sample.
    plan : Plan
        What to compute.
    base : int or None
        Base outcome.
    seed, checkpoint
        For the bootstrap.

    Returns
    -------
    Inference

    Warns
    -----
    CovarianceWarning
        If the information is singular, so that there are no standard errors.
    """
    kind, labels, strata, names = plan.kind, plan.labels, plan.strata, plan.names
    if kind is None:
        return Inference(None, plan.reason)
    unknown = _unidentified(setup, base)
    penalised = model.penalty is not None
    if kind == "bootstrap":
        groups = np.arange(len(rows.sample)) if not labels else labels[0]
        found, count = _bootstrap(
            model, setup, solution, rows, groups, strata, rows_drawn=not labels, base=base, seed=seed, folder=checkpoint
        )
        drawn = f"{names[0]}s" if model.cluster is None else f"clusters of {names[0]}"
        words = f"bootstrap of {count:,} {drawn}, {model.replications} replications, {model.draws} weights"
        if strata is not None:
            words += f", within strata of {model.strata}"
        if penalised:
            words += "; about the penalised value, alpha held"
        words += _left_out(unknown)
        return Inference("bootstrap", words, replicates=found, clusters=count, unidentified=unknown)
    frequency = rows.weights if model.weight_type == "frequency" else None
    try:
        form = covariance if setup.identification is None else setup.identification.covariance
        cov = form(
            setup.problem, solution.point, kind, clusters=labels, strata=strata, ssc=model.ssc, frequency=frequency
        )
    except NoCovarianceError as error:
        # The estimate took its time and is right: only what was asked for beside it does not exist.
        if model.cov_type != "auto":
            warn(f"cov_type={model.cov_type!r} gives nothing: {error}", CovarianceWarning)
        return Inference(None, f"none: {str(error).rstrip('.')}")
    counts = Sampling.make(
        setup.problem, kind, clusters=labels, strata=strata, ssc=model.ssc, frequency=frequency
    ).counts
    words = describe(kind, names=names, counts=counts, ssc=model.ssc, strata=model.strata, penalised=penalised)
    reported = to_reported(cov, setup.scaling, setup.problem, base, shared_scale=setup.shared_scale)
    if penalised and restricted(setup.problem.offset):
        unknown = _held(reported, setup, base)
    words += _left_out(unknown)
    return Inference(kind, words, cov=reported, clusters=min(counts) if counts else None, unidentified=unknown)


def _bootstrap(
    model: MNLogit,
    setup: Setup,
    solution: Solution,
    rows: Rows,
    groups: np.ndarray,
    strata: np.ndarray | None,
    *,
    rows_drawn: bool,
    base: int | None,
    seed: Seed,
    folder: str | Path | None,
) -> tuple[np.ndarray, int]:
    """Coefficients of every replication, and the number of clusters."""
    copies = None
    if rows_drawn and rows.weights is not None and model.weight_type == "frequency":
        copies = np.round(rows.weights).astype(np.int64)
    if strata is not None:
        # Surveys often number clusters anew in every stratum.
        groups = np.unique(np.column_stack([groups, strata]), axis=0, return_inverse=True)[1].ravel()
    found = bootstrap_coefficients(
        setup,
        solution.point,
        groups,
        strata,
        copies=copies,
        replications=model.replications,
        draws=model.draws,
        base=base,
        tolerance=model.tol,
        max_iter=model.max_iter,
        n_jobs=model.n_jobs,
        seed=seed,
        folder=folder,
        # What changes no coefficient may change between runs; objects of the user's may hold rows.
        description=repr(model.replace(n_jobs=None, replications=200, device="auto", context=None)),
    )
    return found, int(groups.max()) + 1 if copies is None else int(copies.sum())


def _unidentified(setup: Setup, base: int | None) -> np.ndarray | None:
    """Positions of the reported coefficients that no probability depends on, because of the choice sets."""
    if setup.identification is None:
        return None
    return np.flatnonzero(~setup.identification.known(_directions(setup, base)))


def _held(reported: np.ndarray, setup: Setup, base: int | None) -> np.ndarray:
    """Positions of the coefficients that only the penalty determines, whose variance is rounding."""
    sizes = np.diag(reported) / np.square(_directions(setup, base)).sum(axis=0)
    return np.flatnonzero(sizes <= _HELD * sizes.max(initial=0.0))


def _directions(setup: Setup, base: int | None) -> np.ndarray:
    """The reported coefficients as combinations of the solver's."""
    problem = setup.problem
    count = (problem.features + problem.intercept) * (problem.outcomes - (base is not None)) + len(problem.shared)
    return to_solver(np.eye(count), setup.scaling, problem, base, setup.shared_scale)


def _kind(model: MNLogit, setup: Setup, rows: Rows) -> tuple[Kind | Literal["bootstrap"] | None, str]:
    """Kind of covariance, or None and the reason."""
    probability = rows.weights is not None and model.weight_type == "probability"
    large = not newton.affordable(setup.problem)
    size = f"{hessian_bytes(setup.problem) / 1e9:,.1f} GB"
    if model.cov_type is None:
        return None, "not asked for (cov_type=None)"
    if model.cov_type == "auto":
        if model.penalty == "l2" and model.cluster is None and model.strata is None:
            kinds = "'bootstrap' gives" if large else "'clustered' or 'bootstrap' give"
            return None, f"none: penalised; cov_type={kinds} those of the penalised value"
        if model.penalty in ("l1", "elasticnet"):
            return None, "none: coefficients that a penalty can set to zero have no valid confidence intervals"
        if large:
            return None, (
                f"none: the information matrix would take {size} and too long; results.directional(data) gives "
                "those of chosen coefficients, cov_type='bootstrap' all of them"
            )
        if rows.sample.of_panel or model.cluster is not None:
            return "clustered", ""
        return ("robust" if probability or model.strata is not None else "nonrobust"), ""
    if model.cov_type == "nonrobust" and probability:
        raise OptionError(
            "cov_type='nonrobust' is not valid with probability weights: set cov_type='robust', or "
            "weight_type='frequency' if the weights count rows."
        )
    if model.cov_type == "bootstrap":
        values = model.replications * setup.problem.parameters
        if values > _MOST_REPLICATES:
            raise OptionError(
                f"{model.replications} replications of {setup.problem.parameters:,} coefficients would take "
                f"{values * 8 / 1e9:,.1f} GB; use econllm.bootstrap for predictions, or fewer replications."
            )
        return "bootstrap", ""
    if large:
        raise OptionError(
            f"cov_type={model.cov_type!r} needs an information matrix of {size} for {setup.problem.parameters:,} "
            f"coefficients and {setup.problem.rows:,} rows; set cov_type=None and ask for some coefficients with "
            "results.directional(data), or cov_type='bootstrap'."
        )
    return model.cov_type, ""


def _labels(model: MNLogit, kind: str, rows: Rows, data: Data) -> tuple[np.ndarray, ...]:
    """Cluster of every row, once or twice."""
    if kind not in ("clustered", "bootstrap"):
        return ()
    if model.cluster is None:
        if kind == "clustered" and not rows.sample.of_panel:
            raise OptionError("cov_type='clustered' on a data frame needs cluster='column'.")
        return (np.unique(rows.sample.clusters, return_inverse=True)[1],) if rows.sample.of_panel else ()
    columns = model.cluster if isinstance(model.cluster, tuple) else (model.cluster,)
    everyone = read_sample(data, rows.spec.outcome, rows.spec.choices)
    return tuple(_codes(cluster_labels(data, everyone, column), rows) for column in columns)


def _left_out(unknown: np.ndarray | None) -> str:
    """Say how many coefficients have no standard errors."""
    if unknown is None or not len(unknown):
        return ""
    return f"; none for {len(unknown)} coefficients that the choice sets do not identify"


def _strata(model: MNLogit, rows: Rows, data: Data) -> np.ndarray | None:
    """Stratum of every row."""
    if model.strata is None:
        return None
    column = column_of(data, model.strata, "strata")
    if column.isna().any():
        raise DataError(f"strata column {model.strata!r} is missing in {int(column.isna().sum())} rows.")
    return _codes(column.astype(object).to_numpy(), rows)


def _names(model: MNLogit, rows: Rows) -> tuple[str, ...]:
    if model.cluster is not None:
        return model.cluster if isinstance(model.cluster, tuple) else (model.cluster,)
    return ("person",) if rows.sample.of_panel else ("row",)


def _codes(labels: np.ndarray, rows: Rows) -> np.ndarray:
    """Labels of the estimation sample as numbers from 0."""
    # Labels of several types have no order of their own.
    codes: np.ndarray = pd.factorize(labels[rows.positions])[0]
    return codes

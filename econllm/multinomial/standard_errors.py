"""Which standard errors an estimation gets, and why it gets none where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from econllm.errors import OptionError
from econllm.logit import newton
from econllm.logit.covariance import NoCovarianceError, covariance, describe, hessian_bytes, to_reported
from econllm.logit.sampling import Kind, Sampling
from econllm.logit.solver import Solution
from econllm.multinomial.estimates import Inference
from econllm.multinomial.replicates import bootstrap_coefficients
from econllm.multinomial.setup import Setup
from econllm.options import Seed
from econllm.sample import Data, cluster_labels, column_of, read_sample

if TYPE_CHECKING:
    from econllm.multinomial.fitting import Rows
    from econllm.multinomial.model import MNLogit

_MOST_REPLICATES = 5e7


def infer(
    model: MNLogit,
    setup: Setup,
    solution: Solution,
    rows: Rows,
    data: Data,
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
    data : CareerPanel or DataFrame
        Holds the columns of clusters and strata.
    base : int or None
        Base outcome.
    seed, checkpoint
        For the bootstrap.

    Returns
    -------
    Inference

    Raises
    ------
    OptionError
        For a kind that the weights exclude, or that is too large to compute.
    """
    kind, reason = _kind(model, setup, rows)
    if kind is None:
        return Inference(None, reason)
    labels = _labels(model, kind, rows, data)
    strata = None if model.strata is None else _codes(column_of(data, model.strata, "strata").to_numpy(), rows)
    names = _names(model, kind, rows)
    penalised = model.penalty is not None
    if kind == "bootstrap":
        groups = np.arange(len(rows.sample)) if not labels else labels[0]
        if strata is not None:
            # Surveys often number clusters anew in every stratum.
            groups = np.unique(np.column_stack([groups, strata]), axis=0, return_inverse=True)[1].ravel()
        found = bootstrap_coefficients(
            setup,
            solution.point,
            groups,
            strata,
            replications=model.replications,
            draws=model.draws,
            base=base,
            tolerance=model.tol,
            max_iter=model.max_iter,
            n_jobs=model.n_jobs,
            seed=seed,
            folder=checkpoint,
            description=repr(model),
        )
        count = int(groups.max()) + 1
        words = f"bootstrap of {count:,} {names[0]}s, {model.replications} replications, {model.draws} weights"
        if strata is not None:
            words += f", within strata of {model.strata}"
        if penalised:
            words += "; about the penalised value, alpha held"
        return Inference("bootstrap", words, replicates=found, clusters=count)
    frequency = rows.weights if model.weight_type == "frequency" else None
    try:
        cov = covariance(
            setup.problem, solution.point, kind, clusters=labels, strata=strata, ssc=model.ssc, frequency=frequency
        )
    except NoCovarianceError as error:
        if model.cov_type != "auto":
            raise
        return Inference(None, f"none: {error}")
    counts = Sampling.make(
        setup.problem, kind, clusters=labels, strata=strata, ssc=model.ssc, frequency=frequency
    ).counts
    words = describe(kind, names=names, counts=counts, ssc=model.ssc, strata=model.strata, penalised=penalised)
    reported = to_reported(cov, setup.scaling, setup.problem, base, shared_scale=setup.shared_scale)
    return Inference(kind, words, cov=reported, clusters=min(counts) if counts else None)


def _kind(model: MNLogit, setup: Setup, rows: Rows) -> tuple[Kind | Literal["bootstrap"] | None, str]:
    """Kind of covariance, or None and the reason."""
    probability = rows.weights is not None and model.weight_type == "probability"
    large = not newton.affordable(setup.problem)
    size = f"{hessian_bytes(setup.problem) / 1e9:,.1f} GB"
    if model.cov_type is None:
        return None, "not asked for (cov_type=None)"
    if model.cov_type == "auto":
        if model.penalty == "l2" and model.cluster is None and model.strata is None:
            return None, "none: penalised; cov_type='clustered' or 'bootstrap' give those of the penalised value"
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
    everyone = read_sample(data, rows.spec.outcome, rows.choices)
    return tuple(_codes(cluster_labels(data, everyone, column), rows) for column in columns)


def _names(model: MNLogit, kind: str, rows: Rows) -> tuple[str, ...]:
    if model.cluster is not None:
        return model.cluster if isinstance(model.cluster, tuple) else (model.cluster,)
    return ("person",) if rows.sample.of_panel else ("row",)


def _codes(labels: np.ndarray, rows: Rows) -> np.ndarray:
    """Labels of the estimation sample as numbers from 0."""
    out: np.ndarray = np.unique(labels[rows.positions], return_inverse=True)[1]
    return out

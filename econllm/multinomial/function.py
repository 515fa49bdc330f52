"""The multinomial logit as a function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from econllm.multinomial.model import CovType, MNLogit, Penalty, WeightType
from econllm.multinomial.results import MNLogitResults
from econllm.multinomial.tuning import Rule
from econllm.multinomial.two_stage import TwoStageMNLogitResults
from econllm.options import Missing, Seed
from econllm.resampling import Draws
from econllm.sample import Data


def mnlogit(
    formula: str,
    data: Data,
    *,
    penalty: Penalty | None = None,
    alpha: float | tuple[float, float] | Literal["auto", "cv", "validation"] = "auto",
    l1_ratio: float = 0.5,
    penalty_factors: Mapping[str, float] | None = None,
    rule: Rule = "best",
    folds: int = 5,
    path: int = 50,
    base: int | str | None = None,
    cov_type: CovType | None = "auto",
    cluster: str | tuple[str, str] | None = None,
    ssc: Literal["groups", "parameters"] | None = "groups",
    strata: str | None = None,
    replications: int = 200,
    draws: Draws = "exponential",
    n_jobs: int | None = None,
    weighted: bool = False,
    weight_type: WeightType = "probability",
    offset: str | None = None,
    choice_sets: str | None = None,
    two_stage: bool = False,
    missing: Missing = "raise",
    pseudo_count: float = 0.5,
    tol: float = 1e-6,
    max_iter: int = 1000,
    device: str = "auto",
    context: Mapping[str, Any] | None = None,
    validation: Data | None = None,
    weights: pd.Series | None = None,
    seed: Seed = None,
    checkpoint: str | Path | None = None,
) -> MNLogitResults | TwoStageMNLogitResults:
    """Estimate a multinomial logit in one call.

    ``mnlogit(formula, data, ...)`` equals ``MNLogit(formula, ...).fit(data, ...)``.

    Parameters
    ----------
    formula : str
        ``"occupation ~ educ"``, see :class:`MNLogit`.
    data : CareerPanel or DataFrame
        Estimation sample.
    penalty, alpha, l1_ratio, penalty_factors, rule, folds, path
        Penalty, see :class:`MNLogit`.
    base, cov_type, cluster, ssc, strata, replications, draws, n_jobs
        Inference, see :class:`MNLogit`.
    weighted, weight_type, offset, choice_sets, two_stage, missing, pseudo_count, tol, max_iter, device, context
        Other options, see :class:`MNLogit`.
    validation, weights, seed, checkpoint
        See :meth:`MNLogit.fit`.

    Returns
    -------
    MNLogitResults, or TwoStageMNLogitResults with `two_stage`

    Examples
    --------
    >>> df = pd.DataFrame({"y": ["a", "b", "b", "a", "b"], "x": [0.0, 1, 0, 1, 2]})
    >>> mnlogit("y ~ x", df).params.round(3).tolist()
    [-0.324, 0.989]
    """
    # One list of options serves both forms: each argument goes to the option of its name.
    given = locals()
    model = MNLogit(**{option.name: given[option.name] for option in fields(MNLogit)})
    return model.fit(data, validation=validation, weights=weights, seed=seed, checkpoint=checkpoint)

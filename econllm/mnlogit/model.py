"""The multinomial logit: its options and its estimation."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from econllm.base import Estimator, FitInfo
from econllm.choices import ChoiceSet
from econllm.errors import (
    ConvergenceWarning,
    DataError,
    OptionError,
    SeparationWarning,
    check_columns,
    check_number,
    check_option,
    did_you_mean,
)
from econllm.formula import Design, DesignSpec, parse
from econllm.mnlogit.covariance import nonrobust
from econllm.mnlogit.estimates import Estimates, reserved_probability
from econllm.mnlogit.results import MNLogitResults
from econllm.mnlogit.setup import Setup
from econllm.mnlogit.solver import Solution, solve
from econllm.mnlogit.tuning import Part, at_the_edge, choose_alpha
from econllm.options import Missing, Seed
from econllm.panel import CareerPanel
from econllm.sample import Data, fit_weights, read_sample


@dataclass(frozen=True, repr=False)
class MNLogit(Estimator):
    """Multinomial logit with a formula, labelled outcomes and an optional L2 penalty.

    Parameters
    ----------
    formula : str
        ``"occupation ~ lag(occupation) + educ"``, see :mod:`econllm.formula`. On a panel the outcome is its occupation.
    penalty : {None, "l2"}
        With "l2" every factor keeps all its levels, coefficients are symmetric over outcomes and numeric columns and
        embeddings are scaled to unit variance for the penalty; without, treatment coding and a base outcome.
    alpha : float or "auto"
        Weight of the penalty: the objective is the weighted mean negative log-likelihood plus alpha times half the sum
        of squared slopes; intercepts are free. "auto" maximises the log-likelihood of the validation sample given to
        `fit`, or of 5 folds of persons.
    base : code, optional
        Outcome against which coefficients are expressed. By default the first one that occurs; with a penalty none,
        and coefficients sum to zero over outcomes. It changes no probability.
    weighted : bool
        Use the panel's survey weights.
    missing : {"raise", "drop"}
        Rows with missing values are an error or are left out.
    pseudo_count : float
        Outcomes of the choice set that never occur in estimation have no finite estimate; each gets the probability
        pseudo_count / (n + pseudo_count * unseen), the others are scaled by one minus their sum.
    tol : float
        Stop when ten iterations lower the objective by less than this share of it.
    max_iter : int
        Limit on iterations.
    context : mapping, optional
        Further objects that the formula may name; a result that uses them cannot be saved.

    Raises
    ------
    OptionError
        For options that do not exist, or an alpha without a penalty.
    FormulaError
        If the formula does not parse.

    Notes
    -----
    McFadden's model: log P(y) is proportional to z'b_y (Athey et al., arXiv 2406.17972, use it on hand-made covariates
    and on embeddings of the history).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> df = pd.DataFrame({"y": rng.choice(["a", "b"], 200), "x": rng.normal(size=200)})
    >>> MNLogit("y ~ x").fit(df).params.index.tolist()
    [('b', 'Intercept'), ('b', 'x')]
    """

    formula: str
    penalty: Literal["l2"] | None = None
    alpha: float | Literal["auto"] = "auto"
    base: int | str | None = None
    weighted: bool = False
    missing: Missing = "raise"
    pseudo_count: float = 0.5
    tol: float = 1e-6
    max_iter: int = 1000
    context: Mapping[str, Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        parse(self.formula)
        check_option("penalty", self.penalty, [None, "l2"])
        check_option("missing", self.missing, ["raise", "drop"])
        check_option("weighted", self.weighted, [True, False])
        if self.alpha != "auto":
            if isinstance(self.alpha, str):
                check_option("alpha", self.alpha, ["auto"])
            check_number("alpha", self.alpha, above=0)
            if self.penalty is None:
                raise OptionError(f"alpha={self.alpha!r} has no effect without a penalty: set penalty='l2'.")
        check_number("pseudo_count", self.pseudo_count, above=0)
        check_number("tol", self.tol, above=0)
        check_number("max_iter", self.max_iter, minimum=1, integer=True)

    @property
    def automatic(self) -> tuple[str, ...]:
        """("alpha",) where it is chosen by held-out log-likelihood."""
        return ("alpha",) if self.penalty and self.alpha == "auto" else ()

    def fit(
        self,
        data: Data,
        *,
        validation: Data | None = None,
        weights: pd.Series | None = None,
        seed: Seed = None,
        checkpoint: str | Path | None = None,
    ) -> MNLogitResults:
        """Estimate the model.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            Estimation sample.
        validation : CareerPanel or DataFrame, optional
            Chooses alpha where it is "auto".
        weights : pandas.Series, optional
            Non-negative, indexed by person or by row.
        seed : int, SeedSequence, Generator or None
            Draws the folds of cross-validation; None stands for 0.
        checkpoint : None
            Not used: estimation takes seconds to minutes.

        Returns
        -------
        MNLogitResults

        Raises
        ------
        DataError
            For missing or non-finite values, fewer than two outcomes, or no rows; see also :mod:`econllm.formula`.

        Warns
        -----
        ConvergenceWarning, CollinearityWarning, SeparationWarning
            Each names what it is about and what to do.
        """
        clock = time.perf_counter()
        if checkpoint is not None:
            raise OptionError(
                "checkpoint has no effect on MNLogit, which keeps no state between iterations; leave it out."
            )
        outcome = parse(self.formula).outcome
        choices = _choices(data, outcome)
        if self.base is not None and self.base not in choices:
            raise OptionError(f"base={self.base!r} is not an outcome.{did_you_mean(self.base, choices.codes)}")
        row_weights = fit_weights(data, weights, self.weighted)
        everyone = read_sample(data, outcome, choices)
        spec, design = DesignSpec.fit(
            self.formula, data, full=self.penalty is not None, missing=self.missing, context=self.context
        )
        setup = Setup.make(design, everyone, row_weights, len(choices), penalised=self.penalty is not None)
        base = self._base(setup, choices)
        alpha, rule, path = self._alpha(setup, spec, validation, choices, seed)
        setup = setup.with_alpha(alpha)
        solution = solve(setup.problem, tolerance=self.tol, max_iter=self.max_iter)
        self._warn(solution, setup, choices)
        slopes, intercepts = setup.scaling.to_data(solution.coefficients, solution.intercepts)
        estimates = Estimates(
            spec=spec,
            columns=setup.stacked.columns,
            terms=setup.stacked.terms,
            kept_columns=setup.columns,
            slopes=slopes,
            intercepts=intercepts,
            seen=setup.seen,
            rows=setup.problem.rows,
            base=base,
            alpha=alpha,
            alpha_rule=rule,
            alpha_path=path,
            solution=solution.report(),
            cov=None if self.penalty else nonrobust(setup, solution, base or 0),
            omitted=setup.omitted,
            labels=_labels(data),
        )
        info = self._info(setup, design, choices, solution, row_weights is not None, clock)
        return MNLogitResults(self, choices, info, estimates)

    def _base(self, setup: Setup, choices: ChoiceSet) -> int | None:
        """Position of the base among the outcomes that occur; None for coefficients that sum to zero."""
        if self.base is None:
            return 0 if self.penalty is None else None
        place = np.flatnonzero(setup.seen == choices.codes.index(self.base))
        if not len(place):
            raise OptionError(f"base={self.base!r} never occurs in the estimation sample; choose an outcome that does.")
        return int(place[0])

    def _alpha(
        self, setup: Setup, spec: DesignSpec, validation: Data | None, choices: ChoiceSet, seed: Seed
    ) -> tuple[float, str, pd.DataFrame | None]:
        if self.penalty is None:
            return 0.0, "", None
        if self.alpha != "auto":
            return float(self.alpha), "given", None
        if validation is not None:
            judged = setup.judged(spec.build(validation), read_sample(validation, spec.parsed.outcome, choices))
            parts, rule = [Part(setup.problem, judged)], "by the validation sample"
        else:
            parts = setup.folds(0 if seed is None else seed)
            rule = f"by {len(parts)}-fold cross-validation over {'persons' if setup.has_persons else 'rows'}"
        alpha, path = choose_alpha(parts, setup.problem.rows, self.max_iter)
        if at_the_edge(alpha, setup.problem.rows):
            rule += ", at the edge of the search"
        return alpha, rule, path

    def _warn(self, solution: Solution, setup: Setup, choices: ChoiceSet) -> None:
        if not solution.converged:
            cure = "" if self.penalty else " or set penalty='l2'"
            warnings.warn(
                f"MNLogit did not converge within max_iter={self.max_iter} iterations; raise max_iter{cure}.",
                ConvergenceWarning,
                stacklevel=3,
            )
        found = None if self.penalty else setup.separated(solution)
        if found is not None:
            column, outcome = found
            code = choices.codes[setup.seen[outcome]]
            warnings.warn(
                f"column {column!r} predicts outcome {code!r} ({choices.title(code)}) or its absence perfectly, so its "
                "coefficient has no finite estimate (separation); set penalty='l2'. Probabilities remain finite.",
                SeparationWarning,
                stacklevel=3,
            )

    def _info(
        self, setup: Setup, design: Design, choices: ChoiceSet, solution: Solution, weighted: bool, clock: float
    ) -> FitInfo:
        sample, problem = setup.sample, setup.problem
        unseen = tuple(code for i, code in enumerate(choices.codes) if i not in set(setup.seen))
        free = problem.outcomes if self.penalty else problem.outcomes - 1
        reserved = reserved_probability(self.pseudo_count, problem.rows, len(unseen))
        return FitInfo(
            rows=problem.rows,
            persons=len(np.unique(sample.clusters)) if sample.of_panel else None,
            first_records=int(sample.first.sum()) if sample.of_panel else None,
            log_likelihood=setup.log_likelihood(solution, reserved, len(unseen)),
            parameters=(problem.features + problem.intercept) * free,
            seconds=time.perf_counter() - clock,
            unseen=unseen,
            dropped=int((~design.kept).sum()),
            truncated=design.truncated,
            weighted=weighted,
        )


def _labels(data: Data) -> dict[str, str]:
    """Variable labels by column name."""
    labels = data.labels if isinstance(data, CareerPanel) else data.attrs.get("variable_labels", {})
    return {str(name): str(label) for name, label in labels.items() if label}


def _choices(data: Data, outcome: str) -> ChoiceSet:
    """The choice set of a panel, or the outcomes of a data frame in order."""
    if not isinstance(data, CareerPanel | pd.DataFrame):
        raise DataError(f"data is a {type(data).__name__}; give a CareerPanel or a pandas DataFrame.")
    if not len(data):
        raise DataError("the data to estimate on have no rows.")
    if isinstance(data, CareerPanel):
        return data.choices
    check_columns(data, [outcome], "outcome")
    values = data[outcome].dropna()
    if not len(values):
        raise DataError(f"outcome {outcome!r} is missing in all {len(data)} rows.")
    if pd.api.types.is_bool_dtype(values):
        raise DataError(f"outcome {outcome!r} is boolean; convert it with astype(int), or to text.")
    labels = data.attrs.get("value_labels", {}).get(outcome)
    if isinstance(values.dtype, pd.CategoricalDtype):
        return ChoiceSet(list(values.cat.categories))
    if pd.api.types.is_float_dtype(values) and (values % 1 != 0).any():
        raise DataError(
            f"outcome {outcome!r} holds fractions such as {values[values % 1 != 0].iloc[0]!r}; a multinomial "
            "logit needs categories."
        )
    codes = sorted(values.unique().tolist(), key=lambda code: (isinstance(code, str), code))
    return ChoiceSet(codes, [labels.get(code, str(code)) for code in codes] if labels else None)

"""What an estimation of the multinomial logit found."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from econllm.base import FitInfo
from econllm.choices import ChoiceSet
from econllm.errors import DataError, check_option
from econllm.formula.lookup import Lookup
from econllm.inference import HausmanTest
from econllm.logit.problem import Point, Problem
from econllm.logit.solver import Report, log_proba
from econllm.metrics import check_level
from econllm.multinomial.coefficients import Coefficients
from econllm.multinomial.columns import Columns, Specification
from econllm.multinomial.effects import Kind, MarginalEffects, marginal_effects
from econllm.multinomial.estimates import Estimates, Inference, Tuning, expand, reserved_probability
from econllm.multinomial.intervals import predict_interval, residuals, scores
from econllm.multinomial.penalty_path import PenaltyPath
from econllm.multinomial.report import summary_table
from econllm.panel import CareerPanel
from econllm.regtable import MaketablesPlugin, TableFacts
from econllm.sample import Data, Sample, last_occupation, read_sample
from econllm.tables import Table

if TYPE_CHECKING:
    from econllm.multinomial.large import DirectionalCovariance


class MNLogitResults(Coefficients, MaketablesPlugin):
    """Estimated multinomial logit. Immutable; holds no rows of the data.

    Attributes
    ----------
    model : MNLogit
        The specification.
    choices : ChoiceSet
        Columns of every probability matrix.
    info : FitInfo
        Sample and estimation in numbers.

    Examples
    --------
    >>> from econllm.multinomial import MNLogit
    >>> df = pd.DataFrame({"y": ["a", "b", "b", "a", "b"], "x": [0.0, 1, 0, 1, 2]})
    >>> MNLogit("y ~ x", penalty="l2", alpha=0.1).fit(df).predict_proba(df).sum(axis=1).round(9).unique().tolist()
    [1.0]
    """

    # Prediction

    @property
    def outcome(self) -> str:
        """Outcome column in a data frame."""
        return self._estimates.spec.outcome

    def kept(self, data: Data) -> np.ndarray:
        """Which rows are predicted: all, or with ``missing="drop"`` those without missing values."""
        if self.model.missing == "raise" and self._estimates.spec.stage != "move":
            return np.ones(len(data), dtype=bool)
        return self._estimates.spec.build(data).kept

    def sample(self, data: Data) -> Sample:
        """Rows and realised outcomes of `data` in positions of this result's choice set."""
        spec = self._estimates.spec
        rows = read_sample(data, self.outcome, spec.choices)
        if spec.stage is None or not isinstance(data, CareerPanel):
            return rows
        stays = last_occupation(data, spec.choices) == rows.outcome + 1
        if spec.stage == "move":
            return replace(rows, outcome=(~stays).astype(np.int64))
        if stays.any():
            raise DataError(
                f"the destination stage is about records that change occupation; {int(stays.sum())} of {len(rows)} do "
                "not. Take log-likelihoods of the whole two-stage model."
            )
        return rows

    def log_proba(self, data: Data) -> np.ndarray:
        """Log probability of every outcome, shape (n, choices), in nats; see :meth:`Results.log_proba`."""
        columns = self._estimates.spec.build(data)
        out = np.empty((len(columns), len(self.choices)))
        for rows, values in self._pieces(columns):
            out[rows] = values
        return out

    def predict_proba(self, data: Data, *, interval: float | None = None) -> pd.DataFrame:
        """Probability of every outcome, labelled.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The rows to predict.
        interval : float, optional
            Coverage of confidence intervals: by the delta method for log odds, so that they lie between 0 and 1, or
            percentiles of the bootstrap.

        Returns
        -------
        pandas.DataFrame
            Indexed as the data, one column per occupation code; with `interval` three for each: estimate, lower, upper.

        Raises
        ------
        DataError
            If intervals are asked of a fit without a covariance.
        """
        proba = super().predict_proba(data)
        if interval is None:
            return proba
        check_level(interval)
        return self._with_interval(data, proba, interval)

    def log_likelihood(self, data: Data) -> pd.Series:
        """Log probability of what happened, row by row, without holding the whole matrix."""
        columns = self._estimates.spec.build(data)
        outcome = self.sample(data).outcome[columns.kept]
        scores = np.empty(len(outcome))
        for rows, values in self._pieces(columns):
            scores[rows] = values[np.arange(len(values)), outcome[rows]]
        return pd.Series(scores, index=data.index[columns.kept], name="log_likelihood")

    def _pieces(self, columns: Columns) -> Iterator[tuple[slice, np.ndarray]]:
        """Log probabilities over the whole choice set, chunk by chunk."""
        e, outcomes = self._estimates, len(self.choices)
        reserved = reserved_probability(self.model.pseudo_count, e.rows, outcomes - len(e.seen))
        for rows, values in log_proba(self._as_problem(columns), e.point):
            able = None if columns.offset is None else np.isfinite(columns.offset.values(rows))
            yield rows, expand(values, e.seen, outcomes, reserved, able)

    def _problem(self, data: Data, overrides: Mapping[str, Any] | None = None) -> Problem:
        """Rows of `data` in the units of the data, for the outcomes that occur; realised ones where they are known."""
        return self._as_problem(self._estimates.spec.build(data, overrides))

    def _as_problem(self, columns: Columns, outcome: np.ndarray | None = None) -> Problem:
        e = self._estimates
        if not len(columns):
            raise DataError("the data to predict have no rows.")
        x = columns.stacked.take(e.kept_columns)
        if x.columns != e.columns:
            raise DataError("the formula gives other columns on these data than at estimation.")
        offset = None if columns.offset is None else columns.offset.outcomes(e.seen)
        if offset is not None:
            nothing = ~np.isfinite(offset.table).any(axis=1)
            offset = Lookup(offset.codes, np.where(nothing[:, None], 0.0, offset.table))
        return Problem(
            x.sparse,
            x.dense,
            np.zeros(len(columns), dtype=np.int64) if outcome is None else outcome,
            len(e.seen),
            None,
            0.0,
            e.spec.intercept,
            shared=tuple(columns.shared[m].outcomes(e.seen) for m in e.kept_shared),
            offset=offset,
        )

    # Effects on probabilities

    def marginal_effects(
        self,
        data: Data,
        variables: str | Sequence[str] | Mapping[str, Any] | None = None,
        *,
        at: Literal["overall", "mean"] | Mapping[str, Any] = "overall",
        over: str | None = None,
        kind: Kind = "dydx",
        outcomes: Hashable | Sequence[Hashable] | None = None,
        weights: bool = False,
        level: float = 0.95,
        covariance: DirectionalCovariance | None = None,
    ) -> MarginalEffects:
        """Effects of variables on the probability of every outcome.

        See :func:`econllm.multinomial.effects.marginal_effects`.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            Rows over which effects are averaged.
        variables : str, sequence of str, or mapping of str to values, optional
            Columns, or history terms such as "lag(occupation)"; all by default. A mapping gives the values to compare,
            the first being the reference: ``{"educ": (12, 16)}``, ``{"lag(occupation)": [4, 7]}``.
        at : {"overall", "mean"} or mapping of str to value
            Average over the rows; at means; or with some variables set to values.
        over : str, optional
            Column whose groups get effects of their own.
        kind : {"dydx", "eyex", "discrete"}
            Derivatives (of factors: discrete changes), elasticities, or discrete changes.
        outcomes : sequence of codes, optional
            Outcomes; all that occur by default.
        weights : bool
            Weight rows by the panel's survey weights.
        level : float
            Coverage of the intervals.
        covariance : DirectionalCovariance, optional
            From :meth:`directional`, for fits whose covariance is too large to be formed.

        Returns
        -------
        MarginalEffects
        """
        return marginal_effects(
            self,
            data,
            variables,
            at=at,
            over=over,
            kind=kind,
            outcomes=outcomes,
            weights=weights,
            level=level,
            covariance=covariance,
        )

    def _with_interval(self, data: Data, proba: pd.DataFrame, level: float) -> pd.DataFrame:
        """Probabilities of every outcome with bounds."""
        lower, upper = predict_interval(self, data, level)
        parts = {"estimate": proba, "lower": lower, "upper": upper}
        wide = pd.concat(parts, axis=1).swaplevel(axis=1)
        columns = [(code, part) for code in proba.columns for part in parts]
        out = wide[columns]
        out.columns = out.columns.set_names([proba.columns.name, "part"])
        return out

    def scores(self, data: Data) -> pd.DataFrame:
        """Derivatives of every row's log-likelihood with respect to the coefficients, shape (n, coefficients)."""
        return scores(self, data)

    def residuals(self, data: Data, kind: Literal["response", "pearson", "deviance"] = "response") -> pd.DataFrame:
        """Residuals of every row and outcome.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            Rows with outcomes.
        kind : {"response", "pearson", "deviance"}
            What happened (0 or 1) less its probability; the same over the root of p (1 - p); signed roots of the
            contributions to the deviance.

        Returns
        -------
        pandas.DataFrame
        """
        check_option("kind", kind, ["response", "pearson", "deviance"])
        return residuals(self, data, kind)

    def directional(
        self,
        data: Data,
        cov_type: Literal["nonrobust", "robust", "clustered"] = "clustered",
        *,
        cluster: str | None = None,
        weights: pd.Series | None = None,
    ) -> DirectionalCovariance:
        """Standard errors of chosen coefficients, contrasts and effects where the whole covariance is too large.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The estimation sample.
        cov_type : {"nonrobust", "robust", "clustered"}
            Kind of covariance; with a penalty about the penalised value.
        cluster : str, optional
            Column of the clusters; by default the person.
        weights : pandas.Series, optional
            Those given to `fit`.

        Returns
        -------
        DirectionalCovariance
            Its `lincom` takes expressions, and :meth:`marginal_effects` takes it as `covariance`.
        """
        from econllm.multinomial.large import DirectionalCovariance

        return DirectionalCovariance.make(self, data, cov_type, cluster, weights)

    def iia_test(self, data: Data, omit: Sequence[Hashable], *, weights: pd.Series | None = None) -> HausmanTest:
        """Test whether coefficients change when some outcomes are left out (Hausman and McFadden 1984).

        The variance of the change is that of the difference between the two estimates row by row; the difference of the
        two variances, which is valid under independence only, is often not a variance at all.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            The estimation sample.
        omit : sequence of codes
            Outcomes to leave out; not the base.
        weights : pandas.Series, optional
            Those given to `fit`; frequencies only.

        Returns
        -------
        HausmanTest
            Of independence of irrelevant alternatives.

        Raises
        ------
        OptionError
            If `omit` names no outcome, the base, or all but one.
        DataError
            With a penalty, or probability weights.
        """
        from econllm.multinomial.iia import iia_test

        return iia_test(self, data, omit, weights)

    # Reporting

    def table_facts(self) -> TableFacts:
        """Words and names for tables."""
        e = self._estimates
        terms = dict(zip(e.columns, e.terms, strict=True))
        kind = {"l1": "L1", "l2": "L2", "elasticnet": f"elastic net, l1_ratio = {self.model.l1_ratio:g}"}
        penalty = ""
        if self.model.penalty:
            penalty = f"{kind[self.model.penalty]}, alpha = {self.alpha:.3g} ({e.tuning.rule})"
        titles = dict(zip(self.choices.codes, self.choices.titles, strict=True))
        return TableFacts(
            outcome=self.outcome,
            titles=titles,
            variables=e.labels,
            terms=terms,
            base=None if e.base is None else self.choices.codes[e.seen[e.base]],
            symmetric=e.base is None and not e.sparse,
            shares={self.choices.codes[i]: float(e.shares[i]) for i in e.seen},
            cov=self.cov_description,
            penalty=penalty,
        )

    def summary(
        self,
        outcomes: Sequence[Hashable] | None = None,
        terms: Sequence[str] | None = None,
        *,
        level: float = 0.95,
        exp: bool = False,
    ) -> Table:
        """Describe sample, estimation and coefficients.

        Parameters
        ----------
        outcomes : sequence of codes or titles, optional
            Equations to show; all by default.
        terms : sequence of str, optional
            Terms or columns to show.
        level : float
            Coverage of the intervals.
        exp : bool
            Relative risk ratios in place of coefficients.

        Returns
        -------
        Table
            Coefficients by outcome, with the variable labels of the data and the titles of occupations; long terms such
            as embeddings as one line with the number of their columns and the norm of the coefficients.
        """
        return summary_table(self, self._estimates, outcomes=outcomes, terms=terms, level=level, exp=exp)

    # Saving

    def _state(self) -> dict[str, Any]:
        e = self._estimates
        special = ("spec", "point", "tuning", "solution", "inference")
        plain = {name: getattr(e, name) for name in Estimates.__dataclass_fields__ if name not in special}
        # Folds go by person: identifiers are data.
        tuning = {
            "alpha": e.tuning.alpha,
            "rule": e.tuning.rule,
            "path": None if e.tuning.path is None else e.tuning.path.to_state(),
        }
        parts = {name: asdict(getattr(e, name)) for name in ("point", "solution", "inference")}
        return {**plain, **parts, "spec": e.spec.to_state(), "tuning": tuning}

    @classmethod
    def _from_state(cls, model: Any, choices: ChoiceSet, info: FitInfo, state: dict[str, Any]) -> MNLogitResults:
        path = state["tuning"]["path"]
        special = {
            "spec": Specification.from_state(state["spec"], choices),
            "point": Point(**state["point"]),
            "tuning": Tuning(**{**state["tuning"], "path": None if path is None else PenaltyPath.from_state(path)}),
            "solution": Report(**state["solution"]),
            "inference": Inference(**state["inference"]),
        }
        tuples = {name: tuple(state[name]) for name in ("columns", "terms", "shared_columns", "omitted")}
        return cls(model, choices, info, Estimates(**{**state, **special, **tuples}))

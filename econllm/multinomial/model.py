"""The multinomial logit: its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from econllm.base import Estimator, Results
from econllm.errors import OptionError, check_number, check_option
from econllm.formula import parse
from econllm.multinomial.fitting import fit_one
from econllm.multinomial.results import MNLogitResults
from econllm.multinomial.tuning import Rule
from econllm.multinomial.two_stage import TwoStageMNLogitResults, fit_two_stage
from econllm.options import Missing, Seed
from econllm.resampling import Draws
from econllm.sample import Data

Penalty = Literal["l1", "l2", "elasticnet"]
CovType = Literal["auto", "nonrobust", "robust", "clustered", "bootstrap"]
WeightType = Literal["probability", "frequency"]


@dataclass(frozen=True, repr=False)
class MNLogit(Estimator):
    """Multinomial logit with a formula, labelled outcomes, penalties, choice sets and standard errors of many kinds.

    Parameters
    ----------
    formula : str
        ``"occupation ~ lag(occupation) + educ"``, in the grammar of R. On a panel the outcome is its occupation.
        After a "|" come alternative-specific columns whose coefficients are common to all outcomes:
        ``"occupation ~ educ | stay() + similarity('title') + wage[alt]"``.
    penalty : {None, "l1", "l2", "elasticnet"}
        With a penalty every factor keeps all its levels, coefficients are symmetric over outcomes and numeric columns
        and embeddings are scaled to unit variance for the penalty; without, treatment coding and a base outcome.
    alpha : float, "auto", "cv" or "validation"
        Weight of the penalty: the objective is the weighted mean negative log-likelihood plus alpha times (l1_ratio
        times the sum of absolute slopes plus (1 - l1_ratio) times half the sum of their squares); intercepts and common
        coefficients are free. "validation" maximises the log-likelihood of the validation sample given to `fit`, "cv"
        that of folds of persons, "auto" does the first if there is such a sample and else the second. With `two_stage`
        a pair gives one for each stage.
    l1_ratio : float
        Share of the absolute values under "elasticnet", above 0 and below 1.
    penalty_factors : mapping of str to float, optional
        Multiples of alpha by term, ``{"embed(resume)": 10, "lag(occupation)": 1}``; 0 leaves a term free, terms that
        are not named have 1, alternative-specific ones 0.
    rule : {"best", "one_se"}
        Which alpha a search takes: the best, or the strongest within one standard error of it.
    folds : int
        Folds of cross-validation: of persons, of the clusters in `cluster`, or of rows.
    path : int
        Number of alphas on the path of "l1" and "elasticnet".
    base : code, optional
        Outcome, by code or title, against which coefficients are expressed. By default the first one that occurs; with
        a penalty none, and coefficients are symmetric over outcomes. It changes no probability.
    cov_type : {"auto", "nonrobust", "robust", "clustered", "bootstrap", None}
        Standard errors: inverse information; sandwich (HC0); sandwich with sums of scores by cluster; refits on
        reweighted clusters; none. "auto" clusters by person on a panel, takes "robust" with probability weights and
        "nonrobust" otherwise ("robust" with strata), and none where the information is too large to form or there is a
        penalty; with penalty="l2", `cluster` and `strata` ask for the penalised sandwich.
    cluster : str or pair of str, optional
        Column that holds clusters ("person" is the panel's person); two for two-way clustering.
    ssc : {"groups", "parameters", None}
        Small-sample correction of robust and clustered covariances. "groups": N/(N-1) and G/(G-1), as Stata's mlogit.
        "parameters": N/(N-K) and G/(G-1) (N-1)/(N-K), as statsmodels.
    strata : str, optional
        Column with the strata of a survey: scores are centred, and clusters drawn, within them.
    replications : int
        Of the bootstrap.
    draws : {"exponential", "multinomial"}
        Weights of its clusters, see :func:`econllm.resampling.person_weights`.
    n_jobs : int, optional
        Its workers, through joblib.
    weighted : bool
        Use the panel's survey weights.
    weight_type : {"probability", "frequency"}
        What weights mean: inverse probabilities of selection (which exclude "nonrobust"), or how often each row stands
        in the data.
    offset : str, optional
        ``offset="x"`` adds the columns ``x[code]`` to the utilities, with coefficient one.
    choice_sets : str, optional
        ``choice_sets="available"`` reads from the columns ``available[code]`` which outcomes a row could choose; the
        others have probability zero.
    two_stage : bool
        Stay or move, then where to: the first stage is a logit of whether the occupation changes, the second the
        destination among the other occupations, estimated on movers and first records.
    missing : {"raise", "drop"}
        Rows with missing regressors are an error or are left out; a missing outcome is an error.
    pseudo_count : float
        Outcomes of the choice set that never occur in estimation have no finite estimate; each gets the probability
        pseudo_count / (n + pseudo_count * unseen), the others are scaled by one minus their sum.
    tol : float
        Stop when ten iterations lower the objective by less than this share of it; where the penalty has absolute
        values, when the conditions of optimality hold to this tolerance.
    max_iter : int
        Limit on iterations.
    device : str
        "auto" solves large smooth problems on a GPU where there is one; "cpu" never does.
    context : mapping, optional
        Further objects that the formula may name; a result that uses them cannot be saved.

    Raises
    ------
    OptionError
        For options that do not exist or do not go together.
    FormulaError
        If the formula does not parse.

    Notes
    -----
    McFadden's model: log P(y) is proportional to z'b_y + c_y'g (McFadden 1974; Athey et al., arXiv 2406.17972, use it
    on hand-made covariates and on embeddings of the history). The two-stage form is that of Vafa et al.,
    arXiv 2202.08370, with a linear index in place of the transformer's.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> df = pd.DataFrame({"y": rng.choice(["a", "b"], 200), "x": rng.normal(size=200)})
    >>> MNLogit("y ~ x").fit(df).params.index.tolist()
    [('b', 'Intercept'), ('b', 'x')]
    """

    formula: str
    penalty: Penalty | None = None
    alpha: float | tuple[float, float] | Literal["auto", "cv", "validation"] = "auto"
    l1_ratio: float = 0.5
    penalty_factors: Mapping[str, float] | None = None
    rule: Rule = "best"
    folds: int = 5
    path: int = 50
    base: int | str | None = None
    cov_type: CovType | None = "auto"
    cluster: str | tuple[str, str] | None = None
    ssc: Literal["groups", "parameters"] | None = "groups"
    strata: str | None = None
    replications: int = 200
    draws: Draws = "exponential"
    n_jobs: int | None = None
    weighted: bool = False
    weight_type: WeightType = "probability"
    offset: str | None = None
    choice_sets: str | None = None
    two_stage: bool = False
    missing: Missing = "raise"
    pseudo_count: float = 0.5
    tol: float = 1e-6
    max_iter: int = 1000
    device: str = "auto"
    context: Mapping[str, Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("cluster", "alpha"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        parsed = parse(self.formula)
        if isinstance(self.base, bool):
            raise OptionError(f"base={self.base!r} must be an outcome, by its code.")
        if self.context is not None and not isinstance(self.context, Mapping):
            raise OptionError(f"context={self.context!r} must be a mapping from names to objects, {{'f': f}}.")
        check_option("penalty", self.penalty, [None, "l1", "l2", "elasticnet"])
        check_option("missing", self.missing, ["raise", "drop"])
        check_option("weight_type", self.weight_type, ["probability", "frequency"])
        for name in ("weighted", "two_stage"):
            check_option(name, getattr(self, name), [True, False])
        if self.weighted and self.weight_type == "frequency":
            raise OptionError(
                "survey weights are no frequencies: leave weighted=True out and give the counts to fit(weights=...)."
            )
        self._check_penalty()
        self._check_inference()
        check_number("pseudo_count", self.pseudo_count, above=0)
        check_number("tol", self.tol, above=0)
        check_number("max_iter", self.max_iter, minimum=1, integer=True)
        if self.two_stage:
            self._check_two_stage(bool(parsed.alternatives) and "stay()" in self.formula)

    def _check_penalty(self) -> None:
        check_option("rule", self.rule, ["best", "one_se"])
        check_number("folds", self.folds, minimum=2, integer=True)
        check_number("path", self.path, minimum=2, integer=True)
        check_number("l1_ratio", self.l1_ratio, above=0)
        if self.l1_ratio >= 1:
            raise OptionError(f"l1_ratio={self.l1_ratio!r} must lie between 0 and 1; penalty='l1' is the case of 1.")
        if self.l1_ratio != 0.5 and self.penalty != "elasticnet":
            raise OptionError(
                f"l1_ratio={self.l1_ratio!r} has no effect with penalty={self.penalty!r}: set penalty='elasticnet'."
            )
        if self.rule != "best" and not self.automatic:
            raise OptionError(
                f"rule={self.rule!r} has no effect with alpha={self.alpha!r} and penalty={self.penalty!r}: nothing is "
                "searched for; set alpha='cv'."
            )
        if self.alpha != "auto":
            if isinstance(self.alpha, str):
                check_option("alpha", self.alpha, ["auto", "cv", "validation"])
            elif isinstance(self.alpha, tuple):
                if not self.two_stage or len(self.alpha) != 2:
                    raise OptionError(f"alpha={self.alpha!r}: a pair is for two_stage=True, one for each stage.")
                for value in self.alpha:
                    check_number("alpha", value, above=0)
            else:
                check_number("alpha", self.alpha, above=0)
            if self.penalty is None:
                raise OptionError(f"alpha={self.alpha!r} has no effect without a penalty: set penalty='l2'.")
        if self.penalty_factors is not None:
            if self.penalty is None:
                raise OptionError("penalty_factors have no effect without a penalty: set penalty='l2'.")
            if not isinstance(self.penalty_factors, Mapping):
                raise OptionError("penalty_factors must be a mapping from terms to factors, {'embed(resume)': 10}.")
            for term, factor in self.penalty_factors.items():
                check_number(f"penalty_factors[{term!r}]", factor, minimum=0)

    def _check_inference(self) -> None:
        check_option("cov_type", self.cov_type, ["auto", "nonrobust", "robust", "clustered", "bootstrap", None])
        check_option("ssc", self.ssc, ["groups", "parameters", None])
        check_option("draws", self.draws, ["exponential", "multinomial"])
        check_number("replications", self.replications, minimum=2, integer=True)
        if not isinstance(self.cluster, str | tuple | None):
            raise OptionError(f"cluster is a {type(self.cluster).__name__}: it must be a column's name, or two names.")
        pair = isinstance(self.cluster, tuple) and len(self.cluster) == 2
        names = self.cluster if isinstance(self.cluster, tuple) else (self.cluster,)
        if self.cluster is not None and not (all(isinstance(n, str) for n in names) and (pair or len(names) == 1)):
            raise OptionError(f"cluster={self.cluster!r} must be a column, or two for two-way clustering.")
        if len(set(names)) < len(names):
            raise OptionError(f"cluster names {names[0]!r} twice; give it once, or two columns.")
        if self.cluster is not None and self.cov_type not in ("auto", "clustered", "bootstrap"):
            raise OptionError(f"cluster has no effect with cov_type={self.cov_type!r}: set cov_type='clustered'.")
        if pair and self.cov_type == "bootstrap":
            raise OptionError("the bootstrap draws clusters of one kind; give one column as cluster.")
        if self.strata is not None and self.cov_type in ("nonrobust", None):
            raise OptionError(f"strata have no effect with cov_type={self.cov_type!r}: set cov_type='clustered'.")
        if self.penalty in ("l1", "elasticnet") and self.cov_type not in ("auto", None):
            raise OptionError(
                f"cov_type={self.cov_type!r} with penalty={self.penalty!r}: there are no valid standard errors of "
                "coefficients that a penalty can set to zero (the bootstrap is inconsistent there too). Leave cov_type "
                "out, or refit the chosen columns without a penalty on other data."
            )
        if self.penalty == "l2" and self.cov_type == "nonrobust":
            raise OptionError(
                "cov_type='nonrobust' is not valid with a penalty; 'robust', 'clustered' and 'bootstrap' are about the "
                "penalised value."
            )

    def _check_two_stage(self, stays: bool) -> None:
        if stays:
            raise OptionError("two_stage=True has a stage for staying already: leave stay() out of the formula.")
        for name in ("choice_sets", "offset", "base"):
            if getattr(self, name) is not None:
                raise OptionError(f"{name} is not available with two_stage=True; leave it out.")

    @property
    def automatic(self) -> tuple[str, ...]:
        """("alpha",) where it is chosen by held-out log-likelihood."""
        return ("alpha",) if self.penalty and isinstance(self.alpha, str) else ()

    @property
    def without_inference(self) -> MNLogit:
        """The same model with cov_type=None, for refits of which only predictions are used."""
        return self.replace(cov_type=None, cluster=None, strata=None)

    def fit(
        self,
        data: Data,
        *,
        validation: Data | None = None,
        weights: pd.Series | None = None,
        seed: Seed = None,
        checkpoint: str | Path | None = None,
    ) -> MNLogitResults | TwoStageMNLogitResults:
        """Estimate the model.

        Parameters
        ----------
        data : CareerPanel or DataFrame
            Estimation sample.
        validation : CareerPanel or DataFrame, optional
            Chooses alpha where it is "auto" or "validation".
        weights : pandas.Series, optional
            Non-negative, indexed by person or by row.
        seed : int, SeedSequence, Generator or None
            Draws the folds of cross-validation and the weights of the bootstrap; None stands for 0.
        checkpoint : path, optional
            With cov_type="bootstrap", the folder that keeps finished replications, so that an interrupted run goes on.

        Returns
        -------
        MNLogitResults, or TwoStageMNLogitResults with `two_stage`

        Raises
        ------
        DataError
            For missing or non-finite values, fewer than two outcomes, or no rows.
        OptionError
            For options that the data do not allow.

        Warns
        -----
        ConvergenceWarning, CollinearityWarning, SeparationWarning, CovarianceWarning
            Each names what it is about and what to do.
        """
        if checkpoint is not None and self.cov_type != "bootstrap":
            raise OptionError(
                "checkpoint keeps replications of cov_type='bootstrap'; estimation itself takes seconds to minutes. "
                "Leave it out."
            )
        if self.alpha == "validation" and self.penalty and validation is None:
            raise OptionError("alpha='validation' needs a sample: fit(data, validation=...).")
        seed = 0 if seed is None else seed
        fit: Any = fit_two_stage if self.two_stage else fit_one
        results: Results = fit(self, data, validation=validation, weights=weights, seed=seed, checkpoint=checkpoint)
        assert isinstance(results, MNLogitResults | TwoStageMNLogitResults)
        return results

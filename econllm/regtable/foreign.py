"""Read results of statsmodels and linearmodels by what they offer; neither package is imported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from econllm.regtable.facts import TableFacts

_STATISTICS = {
    "n": ("nobs",),
    "log_likelihood": ("llf", "loglik"),
    "null_log_likelihood": ("llnull",),
    "pseudo_r2": ("prsquared",),
    "r2": ("rsquared",),
    "adj_r2": ("rsquared_adj",),
    "aic": ("aic",),
    "bic": ("bic",),
}
_KINDS = {
    "unadjusted": "nonrobust",
    "homoskedastic": "nonrobust",
    "heteroskedastic": "robust",
    "cluster": "clustered",
    "hac-panel": "HAC, panel",
}


def is_foreign(result: Any) -> bool:
    """Whether an object looks like a result of statsmodels (params, bse) or linearmodels (params, std_errors).

    Examples
    --------
    >>> is_foreign("text")
    False
    """
    errors = hasattr(result, "bse") or hasattr(result, "std_errors")
    return errors and hasattr(result, "params") and hasattr(result, "pvalues")


def tidy(result: Any, level: float) -> pd.DataFrame:
    """One row per coefficient, with the columns of econllm's own ``tidy()``.

    Parameters
    ----------
    result : object
        A result of statsmodels or linearmodels. Two-dimensional params, as of multinomial logit, have one equation
        per column.
    level : float
        Coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        response (empty for a regression without equations), term, estimate, std_error, statistic, p_value, lower,
        upper.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> df = pd.DataFrame({"y": [1.0, 2.0, 2.0, 4.0], "x": [0.0, 1.0, 2.0, 3.0]})
    >>> tidy(smf.ols("y ~ x", df).fit(), 0.95)["estimate"].round(3).tolist()
    [0.9, 0.9]
    """
    params = np.asarray(result.params, dtype=np.float64)
    bounds = _intervals(result, level)
    limits = np.asarray(bounds, dtype=np.float64).reshape(-1, 2)
    terms = [str(name) for name in getattr(result.params, "index", _model(result, "exog_names"))]
    responses = [""]
    if params.ndim == 2:
        labelled = isinstance(bounds, pd.DataFrame) and bounds.index.nlevels == 2
        names = list(dict.fromkeys(bounds.index.get_level_values(0))) if labelled else range(1, params.shape[1] + 1)
        responses = [str(name) for name in names]
    statistic = result.tvalues if hasattr(result, "tvalues") else result.tstats
    columns = {
        "estimate": params,
        "std_error": result.bse if hasattr(result, "bse") else result.std_errors,
        "statistic": statistic,
        "p_value": result.pvalues,
    }
    values = {name: np.asarray(value, dtype=np.float64).ravel(order="F") for name, value in columns.items()}
    names_of = {"response": np.repeat(responses, len(terms)), "term": np.tile(terms, len(responses))}
    return pd.DataFrame({**names_of, **values, "lower": limits[:, 0], "upper": limits[:, 1]})


def glance(result: Any) -> dict[str, Any]:
    """Statistics of the fit, by the names that econllm's own ``glance()`` gives them.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> df = pd.DataFrame({"y": [1.0, 2.0, 2.0, 4.0], "x": [0.0, 1.0, 2.0, 3.0]})
    >>> glance(smf.ols("y ~ x", df).fit())["n"]
    4
    """
    found: dict[str, Any] = {}
    for key, names in _STATISTICS.items():
        values = [getattr(result, name) for name in names if hasattr(result, name)]
        if values and values[0] is not None:
            found[key] = float(values[0])
    found["n"] = int(found["n"])
    found["parameters"] = int(np.size(result.params))
    entities = getattr(result, "entity_info", None)
    if entities is not None:
        found["persons"] = int(entities["total"])
    clusters = _clusters(result)
    if clusters is not None:
        found["clusters"] = clusters
    converged = getattr(result, "mle_retvals", None)
    if isinstance(converged, dict) and "converged" in converged:
        found["converged"] = bool(converged["converged"])
    found["cov_type"] = _kind(result)
    return found


def facts(result: Any) -> TableFacts:
    """Names and words behind the result.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> df = pd.DataFrame({"y": [1.0, 2.0, 2.0, 4.0], "x": [0.0, 1.0, 2.0, 3.0]})
    >>> facts(smf.ols("y ~ x", df).fit(cov_type="HC1"))
    TableFacts(outcome='y', ..., shares={'': 2.25}, cov='HC1', penalty='')
    """
    outcome = _model(result, "endog_names")
    dependent = _model(result, "dependent")
    if dependent is not None:
        outcome = dependent.vars[0] if hasattr(dependent, "vars") else dependent.cols[0]
    values = np.asarray(_model(result, "endog") if dependent is None else _frame(dependent), dtype=np.float64)
    shares: dict[Any, float] = {"": float(np.nanmean(values))}
    if np.ndim(result.params) == 2:
        responses = list(dict.fromkeys(tidy(result, 0.95)["response"]))
        counts = np.bincount(values.astype(np.int64).ravel(), minlength=len(responses) + 1)
        shares = dict(zip(responses, (counts[1:] / counts.sum()).tolist(), strict=True))
    clusters = _clusters(result)
    kind = _kind(result) + (f" ({clusters:,} clusters)" if clusters is not None else "")
    return TableFacts(outcome=str(outcome or ""), shares=shares, cov=kind)


def _model(result: Any, name: str) -> Any:
    return getattr(getattr(result, "model", None), name, None)


def _frame(dependent: Any) -> Any:
    """The outcome as a frame: panel models of linearmodels and its others name it differently."""
    return dependent.dataframe if hasattr(dependent, "dataframe") else dependent.pandas


def _intervals(result: Any, level: float) -> Any:
    """Bounds by the result's own distribution; the two packages name the coverage differently."""
    return result.conf_int(alpha=1 - level) if hasattr(result, "bse") else result.conf_int(level=level)


def _kind(result: Any) -> str:
    # Panel results of linearmodels show their kind in the summary only.
    kind = str(getattr(result, "cov_type", None) or getattr(result, "_cov_type", "not stated"))
    return _KINDS.get(kind.lower(), kind if kind.startswith("HC") else kind.lower())


def _clusters(result: Any) -> int | None:
    groups = (getattr(result, "cov_kwds", None) or {}).get("groups")
    return None if groups is None or np.ndim(groups) != 1 else len(pd.unique(np.asarray(groups)))

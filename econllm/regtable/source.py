"""What a table needs of every model, whoever estimated it."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from econllm.errors import OptionError, did_you_mean, listing
from econllm.regtable import foreign
from econllm.regtable.facts import COMMON, TableFacts

_NEEDED = ("term", "estimate")
_OPTIONAL = ("std_error", "statistic", "p_value", "lower", "upper")


@dataclass(frozen=True, eq=False)
class Source:
    """One model of a table.

    Attributes
    ----------
    name : str
        Heading.
    result : object
        What was given.
    coefs : pandas.DataFrame
        response, column, term, estimate, std_error, statistic, p_value, lower, upper, count. A line with a count above
        one stands for so many coefficients of a term, and its estimate is their norm.
    statistics : dict
        What ``glance()`` says.
    facts : TableFacts
        Words and names.
    hidden : int
        Coefficients that were left out on request.
    """

    name: str
    result: Any
    coefs: pd.DataFrame
    statistics: Mapping[str, Any]
    facts: TableFacts
    hidden: int = 0

    @property
    def responses(self) -> list[Hashable]:
        """Codes of the equations, common coefficients left out."""
        return [code for code in dict.fromkeys(self.coefs["response"]) if code != COMMON]

    @property
    def has_errors(self) -> bool:
        """Whether any coefficient has a standard error."""
        return bool(self.coefs["std_error"].notna().any())

    def relabelled(self, labels: Mapping[Any, str]) -> Source:
        """Rename the outcomes that the user names, by code or column."""
        codes = [*self.facts.titles, *dict.fromkeys(self.coefs["response"])]
        titles = {code: labels[code] for code in codes if code in labels and code != ""}
        variables = {name: labels[name] for name in (self.facts.outcome,) if name in labels}
        facts = replace(
            self.facts, titles={**self.facts.titles, **titles}, variables={**self.facts.variables, **variables}
        )
        return replace(self, facts=facts)

    def with_coefs(self, coefs: pd.DataFrame, hidden: int = 0) -> Source:
        """Change the coefficients, counting those left out."""
        return replace(self, coefs=coefs.reset_index(drop=True), hidden=self.hidden + hidden)


def read_models(models: Mapping[str, Any] | Sequence[Any], level: float) -> list[Source]:
    """Read models from a mapping of headings to results, or from a list, whose headings are (1), (2), and so on.

    Parameters
    ----------
    models : mapping or sequence
        Results.
    level : float
        Coverage of the intervals.

    Returns
    -------
    list of Source

    Raises
    ------
    OptionError
        If there is no model, or one is no result.

    Examples
    --------
    >>> read_models([], 0.95)
    Traceback (most recent call last):
        ...
    econllm.errors.OptionError: models is empty; give results of estimations, as {"MNL": fit1} or [fit1, fit2].
    """
    if not isinstance(models, Mapping | list | tuple):
        models = [models]
    named = models if isinstance(models, Mapping) else {f"({i})": model for i, model in enumerate(models, 1)}
    if not named:
        raise OptionError('models is empty; give results of estimations, as {"MNL": fit1} or [fit1, fit2].')
    return [read_model(str(name), result, level) for name, result in named.items()]


def read_model(name: str, result: Any, level: float) -> Source:
    """Read one result: by ``tidy()`` and ``glance()``, or as statsmodels and linearmodels offer it.

    Parameters
    ----------
    name : str
        Heading.
    result : object
        The result; ``table_facts()`` is optional.
    level : float
        Coverage of the intervals.

    Returns
    -------
    Source

    Raises
    ------
    OptionError
        For an object that offers none of these, or a frame without the columns term and estimate.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> df = pd.DataFrame({"y": [1.0, 2.0, 2.0, 4.0], "x": [0.0, 1.0, 2.0, 3.0]})
    >>> read_model("OLS", smf.ols("y ~ x", df).fit(), 0.95).coefs["column"].tolist()
    ['Intercept', 'x']
    """
    if callable(getattr(result, "tidy", None)) and callable(getattr(result, "glance", None)):
        frame, statistics, facts = _tidy(name, result, level), statistics_of(result), facts_of(result)
    elif foreign.is_foreign(result):
        frame, statistics, facts = foreign.tidy(result, level), foreign.glance(result), foreign.facts(result)
    else:
        raise OptionError(
            f"model {name!r} is a {type(result).__name__}, which is no result of an estimation: give an object with "
            "tidy() and glance(), or a result of statsmodels or linearmodels."
        )
    return Source(name, result, _standard(frame, facts), statistics, facts)


def statistics_of(result: Any) -> dict[str, Any]:
    """Statistics of a result: ``glance()`` is a mapping or a frame of one row.

    Examples
    --------
    >>> class Fit:
    ...     def glance(self):
    ...         return pd.DataFrame([{"n": 100, "penalty": "none"}])
    >>> statistics_of(Fit())
    {'n': np.int64(100), 'penalty': 'none'}
    """
    found = result.glance()
    if isinstance(found, pd.DataFrame):
        return {str(name): found[name].iloc[0] for name in found.columns}
    return dict(found)


def facts_of(result: Any) -> TableFacts:
    """Words of a result, as far as it has any.

    Examples
    --------
    >>> facts_of(object()).outcome
    ''
    """
    described = getattr(result, "table_facts", None)
    if not callable(described):
        return TableFacts(cov=str(getattr(result, "cov_description", "")))
    facts = described()
    assert isinstance(facts, TableFacts)
    return facts


def choose_outcomes(
    sources: Sequence[Source], outcomes: Sequence[Hashable] | None, labels: Mapping[Any, str]
) -> list[Source]:
    """Keep the equations of some outcomes, given by code, title or the user's label, in the order given.

    Raises
    ------
    OptionError
        For an outcome that no model has, and for the base outcome, which has no coefficients.

    Examples
    --------
    >>> choose_outcomes([], None, {})
    []
    """
    if outcomes is None:
        return list(sources)
    if isinstance(outcomes, str) or not isinstance(outcomes, Sequence):
        raise OptionError(f"outcomes={outcomes!r} is one outcome; give a list, [{outcomes!r}].")
    _check_outcomes(sources, outcomes, labels)
    chosen = []
    for source in sources:
        codes = [code for wanted in outcomes for code in _codes(source) if wanted in _called(source, code, labels)]
        parts = [source.coefs[source.coefs["response"] == code] for code in dict.fromkeys(codes)]
        coefs = pd.concat(parts) if parts else source.coefs.iloc[:0]
        left_out = source.coefs["count"].sum() - coefs["count"].sum()
        chosen.append(source.with_coefs(coefs, int(left_out)))
    return chosen


def _codes(source: Source) -> list[Hashable]:
    return list(dict.fromkeys(source.coefs["response"]))


def _called(source: Source, code: Hashable, labels: Mapping[Any, str]) -> tuple[Hashable, ...]:
    """All names under which an equation can be asked for."""
    return (code, source.facts.title(code), labels.get(code if code != "" else source.facts.outcome))


def _check_outcomes(sources: Sequence[Source], outcomes: Sequence[Hashable], labels: Mapping[Any, str]) -> None:
    known = {name: None for s in sources for code in _codes(s) for name in _called(s, code, labels) if name is not None}
    bases = {name for s in sources for name in (s.facts.base, s.facts.titles.get(s.facts.base)) if name is not None}
    for wanted in outcomes:
        if wanted in known:
            continue
        if wanted in bases:
            raise OptionError(f"outcomes names {wanted!r}, the base outcome, which has no coefficients of its own.")
        raise OptionError(
            f"outcomes names {wanted!r}, for which no model has an equation.{did_you_mean(wanted, known)} There are "
            f"{listing([name for name in known if not _repeats(name, known)], 12)}."
        )


def _repeats(name: Hashable, known: Mapping[Hashable, None]) -> bool:
    """Whether a title is but a number's text."""
    return isinstance(name, str) and any(not isinstance(code, str) and str(code) == name for code in known)


def _tidy(name: str, result: Any, level: float) -> pd.DataFrame:
    if "level" in inspect.signature(result.tidy).parameters:
        frame = result.tidy(level=level)
    else:
        frame = result.tidy()
        if level != 0.95:
            raise OptionError(f"level={level}: model {name!r} gives 95% intervals only; its tidy() takes no level.")
    if not isinstance(frame, pd.DataFrame) or not set(_NEEDED) <= set(frame.columns):
        raise OptionError(
            f"model {name!r}: tidy() must give a data frame with the columns term and estimate, and as far as they "
            f"exist {listing(('response', *_OPTIONAL), 9)}."
        )
    return frame


def _standard(frame: pd.DataFrame, facts: TableFacts) -> pd.DataFrame:
    columns = frame["term"].astype(str)
    out = pd.DataFrame(
        {
            "response": frame.get("response", ""),
            "column": columns,
            "term": [facts.terms.get(column, column) for column in columns],
            "estimate": frame["estimate"].astype(np.float64),
        },
        index=frame.index,
    )
    out["response"] = out["response"].astype(object)
    for name in _OPTIONAL:
        out[name] = frame[name].astype(np.float64) if name in frame else np.nan
    out["count"] = 1
    return out.reset_index(drop=True)

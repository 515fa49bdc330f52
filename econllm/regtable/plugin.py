"""What maketables reads from a result, so that its tables take econllm's results; maketables is not imported."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from econllm.regtable.naming import labelled
from econllm.regtable.select import condense, names_of
from econllm.regtable.source import Source, facts_of, read_model, statistics_of
from econllm.regtable.statistics import LABELS
from econllm.tables.content import plain_cell

# maketables reads a colon as the sign of an interaction.
_BETWEEN = " | "
# Statistics that maketables has its own names for: under these they share rows with those of other packages.
_KEYS = {
    "N": "n",
    "n_clusters": "clusters",
    "ll": "log_likelihood",
    "llnull": "null_log_likelihood",
    "se_type": "cov_type",
}
_DEFAULT = ("N", "persons", "n_clusters", "ll", "pseudo_r2", "aic", "bic", "parameters", "se_type")
_COLUMNS = {"estimate": "b", "std_error": "se", "statistic": "t", "p_value": "p", "lower": "ci95l", "upper": "ci95u"}


class MaketablesStatistics:
    """Attributes that the table package maketables looks for, of a result without coefficients: statistics alone.

    To be inherited by results that have `info`, an `econllm.base.FitInfo`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> class Fit(MaketablesStatistics):
    ...     info = SimpleNamespace(rows=100, persons=None, log_likelihood=-120.5, parameters=9)
    >>> Fit().__maketables_default_stat_keys__
    ['N', 'll', 'parameters']
    >>> Fit().__maketables_stat__("ll"), len(Fit().__maketables_coef_table__)
    (-120.5, 0)
    """

    info: Any

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """No coefficients; of objects, since maketables writes text into the columns."""
        return pd.DataFrame(columns=list(_COLUMNS.values()), index=pd.Index([], name="Coefficient"), dtype=object)

    def __maketables_stat__(self, key: str, default: Any = None) -> Any:
        """One statistic, by econllm's name or maketables' own; None where there is none."""
        return plain_cell(self._maketables_statistics().get(_KEYS.get(key, key), default))

    @property
    def __maketables_depvar__(self) -> str:
        """Name of the outcome, where the result knows it."""
        return getattr(self, "outcome", None) or "outcome"

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        """Statistics to print, of the usual ones those that there are, by maketables' names where it has such."""
        found = {key: self.__maketables_stat__(key) for key in _DEFAULT}
        return [key for key, value in found.items() if value is not None and value == value]

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        """Names of the statistics for a reader."""
        names = {key: key for key in LABELS} | _KEYS
        return {key: LABELS[name][0] for key, name in names.items()}

    def _maketables_statistics(self) -> dict[str, Any]:
        info = self.info
        numbers = {"n": info.rows, "persons": info.persons, "log_likelihood": info.log_likelihood}
        return {**numbers, "parameters": info.parameters}


class MaketablesPlugin(MaketablesStatistics):
    """Attributes that the table package maketables looks for.

    To be inherited by results that have ``tidy()`` and ``glance()``, and ``table_facts()`` for words.

    Notes
    -----
    Rows are named "outcome | term", since maketables takes a colon for an interaction. Embeddings, and other terms of
    more than 30 columns, are left out of these tables: a norm is not a coefficient. A result that inherits this must
    not have the attribute ``bse``, or maketables takes it for one of statsmodels.

    Examples
    --------
    >>> class Fit(MaketablesPlugin):
    ...     def tidy(self):
    ...         return pd.DataFrame({"response": ["cook"], "term": ["educ"], "estimate": [0.5], "std_error": [0.1]})
    ...     def glance(self):
    ...         return pd.DataFrame([{"n": 100}])
    >>> Fit().__maketables_coef_table__[["b", "se"]].reset_index().values.tolist()
    [['cook | educ', 0.5, 0.1]]
    >>> Fit().__maketables_stat__("N"), Fit().__maketables_default_stat_keys__
    (100, ['N'])
    """

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """Coefficients by name: b, se, t, p, ci95l, ci95u."""
        source = self._read()
        short = condense([source], names_of([source], {}), None)[0].coefs
        short = short[short["count"] == 1]
        frame = short.rename(columns=_COLUMNS)[list(_COLUMNS.values())]
        pairs = zip(short["response"], short["column"], strict=True)
        frame.index = pd.Index([_row_name(source, *pair) for pair in pairs], name="Coefficient")
        return frame

    def __maketables_stat__(self, key: str, default: Any = None) -> Any:
        """One statistic, by econllm's name or maketables' own; None where there is none."""
        words = facts_of(self).cov if key == "se_type" else ""
        return words or super().__maketables_stat__(key, default)

    @property
    def __maketables_depvar__(self) -> str:
        """Name of the outcome."""
        return facts_of(self).outcome_label or "outcome"

    @property
    def __maketables_var_labels__(self) -> dict[str, str]:
        """Names of the rows for a reader."""
        source = self._read()
        labels = {column: labelled(column, source.facts, {}) for column in source.coefs["column"].unique()}
        pairs = zip(source.coefs["response"], source.coefs["column"], strict=True)
        named = {_row_name(source, *pair): _row_name(source, pair[0], labels[pair[1]]) for pair in pairs}
        return {name: label for name, label in named.items() if name != label}

    @property
    def __maketables_vcov_info__(self) -> dict[str, Any]:
        """Kind of covariance, and the column of the clusters."""
        kind = self.__maketables_stat__("cov_type")
        cluster = getattr(getattr(self, "model", None), "cluster", None)
        return {"vcov_type": kind, "clustervar": cluster if kind == "clustered" else None}

    def _maketables_statistics(self) -> dict[str, Any]:
        return statistics_of(self)

    def _read(self) -> Source:
        return read_model("", self, 0.95)


def _row_name(source: Source, code: Hashable, term: str) -> str:
    """Equation and term as one name; a colon in the title would be read as an interaction."""
    return term if code == "" else f"{source.facts.title(code).replace(':', ' -')}{_BETWEEN}{term}"

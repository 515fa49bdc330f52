"""Marginal effects as they are reported: a frame, a joint covariance, a table, and differences between effects."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from econllm.errors import DataError, OptionError, did_you_mean, listing
from econllm.inference.wald import WaldTest, quadratic_form
from econllm.tables import Column, Fact, Panel, Row, Table, interval

_KEYS = ("variable", "contrast", "outcome", "group")
# More outcomes than this do not fit side by side.
_MOST_COLUMNS = 6
# Letters of a heading before it is broken into lines.
_WIDTH = 14


@dataclass(frozen=True, eq=False, repr=False)
class MarginalEffects:
    """Effects of variables on the probabilities of outcomes. Immutable; holds no rows of the data.

    Attributes
    ----------
    keys : pandas.DataFrame
        What each effect is: variable, contrast ("dy/dx", "ey/ex", "+1", or "b vs. a"), outcome and group ("" where
        there are no groups).
    estimates : numpy.ndarray, shape (effects,)
        The effects.
    covariance : numpy.ndarray, shape (effects, effects), or None
        Their joint covariance; None where the coefficients have none.
    replicates : numpy.ndarray, shape (replications, effects), or None
        The effects of every bootstrap replication, whose percentiles are the intervals.
    level : float
        Coverage of the intervals.
    title : str
        Title of the table.
    facts : tuple of Fact
        Sample and method.
    notes : tuple of str
        What the numbers are.
    titles : mapping
        Words for variables, contrasts, outcomes and groups in tables: a mapping from value to text by column of `keys`.

    Examples
    --------
    >>> keys = pd.DataFrame({"variable": "educ", "contrast": "dy/dx", "outcome": [1, 2], "group": ""})
    >>> e = MarginalEffects(keys, np.array([-0.1, 0.1]), np.array([[1e-4, -1e-4], [-1e-4, 1e-4]]))
    >>> e.contrast(outcome=(2, 1)).frame[["outcome", "estimate", "std_error"]].round(3).values.tolist()
    [['2 - 1', 0.2, 0.02]]
    """

    keys: pd.DataFrame
    estimates: np.ndarray
    covariance: np.ndarray | None
    replicates: np.ndarray | None = None
    level: float = 0.95
    title: str = "Marginal effects"
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    titles: Mapping[str, Mapping[Any, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.estimates)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per effect: its keys, estimate, std_error, statistic, p_value, lower and upper.

        Statistic and p-value are about an effect of zero, by the normal distribution; so are the intervals, except of a
        bootstrap, where they are percentiles.
        """
        error = np.full(len(self), np.nan)
        if self.covariance is not None:
            error = np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        statistic = np.divide(self.estimates, error, out=np.full(len(self), np.nan), where=error > 0)
        half = stats.norm.ppf(0.5 + self.level / 2) * error
        lower, upper = self.estimates - half, self.estimates + half
        if self.replicates is not None:
            lower, upper = np.quantile(self.replicates, [0.5 - self.level / 2, 0.5 + self.level / 2], axis=0)
        numbers = {
            "estimate": self.estimates,
            "std_error": error,
            "statistic": statistic,
            "p_value": 2 * stats.norm.sf(np.abs(statistic)),
            "lower": lower,
            "upper": upper,
        }
        return pd.concat([self.keys, pd.DataFrame(numbers, index=self.keys.index)], axis=1)

    @property
    def cov(self) -> pd.DataFrame | None:
        """Joint covariance, indexed by (variable, contrast, outcome, group); None where there is none."""
        if self.covariance is None:
            return None
        index = pd.MultiIndex.from_frame(self.keys)
        return pd.DataFrame(self.covariance, index=index, columns=index)

    def contrast(
        self,
        *,
        outcome: tuple[Hashable, Hashable] | None = None,
        group: tuple[Hashable, Hashable] | None = None,
        variable: tuple[Hashable, Hashable] | None = None,
    ) -> MarginalEffects:
        """Differences between the effects of two groups, on two outcomes, or of two variables.

        Parameters
        ----------
        outcome, group, variable : pair, optional
            Exactly one of them: the first less the second, for every value of the other keys.

        Returns
        -------
        MarginalEffects
            Standard errors come from the joint covariance. Differences of differences: call it again.

        Raises
        ------
        OptionError
            If not exactly one pair is given, or one of its values has no effects.
        """
        given = {"outcome": outcome, "group": group, "variable": variable}
        pairs = {name: pair for name, pair in given.items() if pair is not None}
        if len(pairs) != 1:
            raise OptionError("give one of outcome=, group= and variable=, as in contrast(group=('m', 'f')).")
        name, pair = next(iter(pairs.items()))
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise OptionError(f"{name}={pair!r} is no pair: give two values, the first less the second.")
        places = [self._at(name, value) for value in pair]
        others = [key for key in _KEYS if key != name]
        labels = [pd.MultiIndex.from_frame(self.keys.iloc[at][others]) for at in places]
        both = labels[0][labels[0].isin(labels[1])]
        if not len(both):
            raise OptionError(f"{name} {pair[0]!r} and {name} {pair[1]!r} share no effects to compare.")
        matrix = np.zeros((len(both), len(self)))
        rows = np.arange(len(both))
        matrix[rows, places[0][labels[0].get_indexer(both)]] = 1
        matrix[rows, places[1][labels[1].get_indexer(both)]] -= 1
        keys = both.to_frame(index=False).assign(**{name: f"{pair[0]} - {pair[1]}"})[list(_KEYS)]
        known = self.titles.get(name, {})
        words = " - ".join(known.get(value, str(value)) for value in pair)
        titles = {**self.titles, name: {**known, f"{pair[0]} - {pair[1]}": words}}
        return self._combine(matrix, keys, f"{self.title}: differences", titles)

    def lincom(self, weights: Mapping[tuple[Hashable, ...], float], label: str = "combination") -> MarginalEffects:
        """A linear combination of effects.

        Parameters
        ----------
        weights : mapping of tuple to float
            Weight of each effect, named as in the index of `cov`: (variable, contrast, outcome, group).
        label : str
            Name of the result.

        Returns
        -------
        MarginalEffects
            Of one row, with `label` as its variable.

        Raises
        ------
        OptionError
            For an effect that does not exist.

        Examples
        --------
        >>> keys = pd.DataFrame({"variable": "educ", "contrast": "dy/dx", "outcome": [1, 2], "group": ""})
        >>> e = MarginalEffects(keys, np.array([0.1, 0.3]), np.eye(2))
        >>> e.lincom({("educ", "dy/dx", 1, ""): 0.5, ("educ", "dy/dx", 2, ""): 0.5}, "mean").estimates
        array([0.2])
        """
        index = list(self.keys.itertuples(index=False, name=None))
        matrix = np.zeros((1, len(self)))
        for name, weight in weights.items():
            if name not in index:
                raise OptionError(f"there is no effect {name!r}.{did_you_mean(name, index)} The first is {index[0]!r}.")
            matrix[0, index.index(name)] += weight
        keys = pd.DataFrame([dict.fromkeys(_KEYS, "") | {"variable": label}])
        return self._combine(matrix, keys, f"{self.title}: linear combination", {})

    def joint_test(self) -> WaldTest:
        """Test that all these effects are zero; after :meth:`contrast`, that two sets of effects are equal.

        Returns
        -------
        WaldTest
            Its degrees of freedom are the rank of the covariance: the effects on all outcomes sum to zero, so that one
            of them adds none.

        Raises
        ------
        DataError
            If there is no covariance, or it cannot support the test.
        """
        if self.covariance is None:
            raise DataError("there is no covariance to test with; see the notes of the table.")
        statistic, df = quadratic_form(self.estimates, self.covariance)
        labels = tuple(" ".join(str(k) for k in key if k != "") + " = 0" for key in self.keys.to_numpy())
        text = f"{len(self)} effects are zero"
        return WaldTest(statistic, df, float(stats.chi2.sf(statistic, df)), "chi2", None, text, labels, ())

    def table(self, *, wide: bool | None = None) -> Table:
        """Lay the effects out.

        Parameters
        ----------
        wide : bool, optional
            Outcomes side by side with standard errors in parentheses under the effects, or one below the other with
            statistics and intervals. By default wide for up to 6 outcomes.

        Returns
        -------
        Table
        """
        if wide is None:
            wide = self.keys["outcome"].nunique() <= _MOST_COLUMNS
        columns, body = self._wide() if wide else self._long()
        return Table(columns, body, title=self.title, facts=self.facts, notes=self.notes)

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<MarginalEffects: {len(self):,} effects of {listing(self.keys['variable'].unique(), 3)}>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def _at(self, name: str, value: Hashable) -> np.ndarray:
        """Positions of the effects with a key, which may be given by its title."""
        known = list(self.keys[name].unique())
        named = [code for code, title in self.titles.get(name, {}).items() if title == value and code in known]
        if value not in known and len(named) == 1:
            value = named[0]
        if value not in known:
            raise OptionError(
                f"there are no effects with {name}={value!r}.{did_you_mean(value, known)} Known: {listing(known, 12)}."
            )
        return np.flatnonzero(self.keys[name].to_numpy(dtype=object) == value)

    def _combine(
        self, matrix: np.ndarray, keys: pd.DataFrame, title: str, titles: Mapping[str, Mapping[Any, str]]
    ) -> MarginalEffects:
        cov = None if self.covariance is None else matrix @ self.covariance @ matrix.T
        replicates = None if self.replicates is None else self.replicates @ matrix.T
        estimates = matrix @ self.estimates
        return MarginalEffects(
            keys, estimates, cov, replicates, self.level, title, self.facts, self.notes, {**self.titles, **titles}
        )

    def _word(self, name: str, value: Any) -> str:
        return self.titles.get(name, {}).get(value, str(value))

    def _label(self, variable: Any, contrast: Any) -> str:
        text = self.titles.get("contrast", {}).get((variable, contrast), str(contrast))
        name = self._word("variable", variable)
        return name if contrast in ("dy/dx", "ey/ex", "") else f"{name}: {text}"

    def _wide(self) -> tuple[list[Column], list[Row | Panel]]:
        outcomes = list(self.keys["outcome"].unique())
        body: list[Row | Panel] = []
        for group, part in self.frame.groupby("group", sort=False):
            rows = []
            for key, effects in part.groupby(["variable", "contrast"], sort=False):
                found = effects.set_index("outcome").reindex(outcomes)
                rows.append(Row(self._label(*key), found["estimate"], ".4f"))
                if self.covariance is not None:
                    rows.append(Row("", [None if np.isnan(e) else f"({e:.4f})" for e in found["std_error"]]))
            body += rows if group == "" else [Panel(self._word("group", group), rows)]
        heads = ["\n".join(textwrap.wrap(self._word("outcome", outcome), _WIDTH)) for outcome in outcomes]
        return [Column(head) for head in heads], body

    def _long(self) -> tuple[list[Column], list[Row | Panel]]:
        columns = [Column("effect", ".4f")]
        if self.covariance is not None:
            columns += [Column("std. err.", ".4f"), Column("z", ".2f"), Column("p", "pvalue")]
            columns.append(Column(f"{100 * self.level:g}% CI"))
        body: list[Row | Panel] = []
        for (group, *key), part in self.frame.groupby(["group", "variable", "contrast"], sort=False):
            rows = []
            for r in part.to_dict("records"):
                cells = [r["estimate"]]
                if self.covariance is not None:
                    cells += [r["std_error"], r["statistic"], r["p_value"], interval(r["lower"], r["upper"], ".4f")]
                rows.append(Row(self._word("outcome", r["outcome"]), cells))
            title = self._label(*key)
            body.append(Panel(title if group == "" else f"{self._word('group', group)}, {title}", rows))
        return columns, body

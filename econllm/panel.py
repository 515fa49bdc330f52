"""Careers as data: persons, their records in time, and what is known when each occupation is chosen."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from econllm.choices import MISSING_TEXT, ChoiceSet, plain_code
from econllm.description import PanelDescription, describe_panel
from econllm.errors import DataError, OptionError, check_number, did_you_mean, listing
from econllm.options import Seed, resolve_seed
from econllm.records import (
    Roles,
    Rows,
    check_roles,
    check_rows,
    columns_by_outcome,
    freeze_levels,
    names_of,
    read_choices,
    sorted_frame,
)
from econllm.text import Columns, Resume, ResumeTemplate


class CareerPanel:
    """A panel of careers: one row per person and time, an occupation in every row.

    Parameters
    ----------
    df : pandas.DataFrame
        One row per person and time, in any order. It is never changed.
    person, time, occupation : hashable
        Names of the columns that identify person and time, and of the outcome. Time is a number such as the year.
    titles : mapping, Series, DataFrame, ChoiceSet or column name, optional
        Occupation code -> title. A ChoiceSet is taken whole; of anything else the choice set is what occurs in
        `df`, in the order of the titles. By default value labels read by
        :func:`econllm.datasets.read_stata`, else the codes themselves.
    static, dynamic : sequence of hashable
        Columns known before the occupation of the same record: constant within persons (sex, birth year) or not
        (education, region). ``"wage[alt]"`` stands for the columns ``wage[code]`` of all occupations, which formulas
        read right of a bar and résumés leave out.
    lagged : sequence of hashable
        Columns that describe the record's job (hours, wage, union). They reach a model only from earlier records.
    weights : hashable, optional
        Column of survey weights, not negative; rows with weight zero are kept.
    template : ResumeTemplate, optional
        How careers are written as text; the default wording otherwise.

    Raises
    ------
    MissingColumnError
        If a column is absent, naming the nearest one.
    DataError
        For duplicate person-time rows, missing or unknown occupations, static columns that vary, times that are no
        numbers, weights that are missing or negative; with counts and first offenders.

    Notes
    -----
    Row order and index of every output are the panel's: rows sorted by person and time, labelled as in `df`. The
    first record of a person has an empty history and is predicted too. The choice set and the levels of every
    factor are frozen here and survive :meth:`split`, :meth:`subset` and :meth:`resample`.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 1, 2], "year": [2001, 2000, 2000], "job": ["cook", "clerk", "clerk"]})
    >>> CareerPanel(df, person="id", time="year", occupation="job")
    CareerPanel(2 persons, 3 transitions, 2 occupations, year 2000 to 2001)
    """

    def __init__(
        self,
        df: pd.DataFrame,
        person: Hashable,
        time: Hashable,
        occupation: Hashable,
        titles: Mapping[Any, str] | pd.Series | pd.DataFrame | ChoiceSet | str | None = None,
        static: Sequence[Hashable] = (),
        dynamic: Sequence[Hashable] = (),
        lagged: Sequence[Hashable] = (),
        weights: Hashable | None = None,
        template: ResumeTemplate | None = None,
    ) -> None:
        if not isinstance(df, pd.DataFrame):
            raise DataError(f"df is a {type(df).__name__}; give a pandas DataFrame with one row per person and time.")
        before = names_of("static", static), names_of("dynamic", dynamic)
        roles = Roles(person, time, occupation, *before, names_of("lagged", lagged), weights)
        check_roles(df, roles.described, titles)
        if template is not None and not isinstance(template, ResumeTemplate):
            raise OptionError(f"template is a {type(template).__name__}; give a ResumeTemplate or None.")
        check_rows(df, roles.described)
        choices = read_choices(df, occupation, titles)
        roles = columns_by_outcome(df, roles, choices, titles)
        if MISSING_TEXT in (*choices.codes, *choices.titles):
            raise DataError(
                f"an occupation of {occupation!r} has the code or title {MISSING_TEXT!r}, which is reserved for 'no "
                "history'; rename it."
            )
        frame = sorted_frame(df, roles)
        outcome = choices.positions(frame[occupation], str(occupation))
        ids = frame[person].to_numpy()
        self._roles = roles
        self._choices = choices
        self._labels = {c: str(v) for c, v in df.attrs.get("variable_labels", {}).items() if c in roles.all and v}
        self._value_labels = {c: dict(v) for c, v in df.attrs.get("value_labels", {}).items() if c in roles.all}
        self._levels = freeze_levels(frame, roles)
        self._title_column = titles if isinstance(titles, str) else None
        self._template = template or ResumeTemplate()
        self._rows = Rows(frame, outcome, ids, ids, np.ones(len(frame), dtype=bool), None)
        self._template.check(self.text_columns)

    def _with_rows(self, rows: Rows) -> CareerPanel:
        """Return the same panel with other rows: roles, choices, levels and template are kept."""
        panel = object.__new__(CareerPanel)
        panel.__dict__.update(self.__dict__)
        panel._rows = rows
        return panel

    def _attach_truth(self, proba: np.ndarray) -> CareerPanel:
        """Return the panel with the true probabilities of every occupation, one row per record."""
        return self._with_rows(self._rows.with_truth(proba, len(self._choices)))

    def _shown(self, values: np.ndarray) -> np.ndarray:
        shown: np.ndarray = values[self._rows.target]
        return shown

    # What the panel holds

    def __len__(self) -> int:
        """Return the number of transitions, the rows that are predicted."""
        return int(self._rows.target.sum())

    def __repr__(self) -> str:
        if not len(self):
            return "CareerPanel(0 persons, 0 transitions)"
        times = self.times
        return (
            f"CareerPanel({len(self.persons):,} persons, {len(self):,} transitions, {len(self._choices):,} "
            f"occupations, {self._roles.time} {plain_code(times.min())} to {plain_code(times.max())})"
        )

    @property
    def roles(self) -> Roles:
        """Which column plays which part."""
        return self._roles

    @property
    def choices(self) -> ChoiceSet:
        """The ordered choice set, frozen at construction."""
        return self._choices

    @property
    def levels(self) -> dict[Hashable, pd.Index]:
        """Levels of every column that can be a factor, frozen at construction."""
        return dict(self._levels)

    @property
    def labels(self) -> dict[Hashable, str]:
        """Variable labels by column, for tables and résumés."""
        return dict(self._labels)

    @property
    def title_column(self) -> str | None:
        """Column that the titles were read from, if any: it gives the outcome away."""
        return self._title_column

    @property
    def template(self) -> ResumeTemplate:
        """How careers are written as text."""
        return self._template

    @property
    def index(self) -> pd.Index:
        """Row labels of every output."""
        return self._rows.frame.index[self._rows.target]

    @property
    def outcome(self) -> np.ndarray:
        """Position of every row's occupation in the choice set, shape (n,)."""
        return self._shown(self._rows.outcome)

    @property
    def times(self) -> np.ndarray:
        """Time of every row, shape (n,)."""
        return self._shown(self._rows.frame[self._roles.time].to_numpy())

    @property
    def person_ids(self) -> np.ndarray:
        """Person of every row, shape (n,); new numbers after :meth:`resample`."""
        return self._shown(self._rows.person)

    @property
    def origin_ids(self) -> np.ndarray:
        """Person of every row in the data, shape (n,): what folds and clusters go by."""
        return self._shown(self._rows.origin)

    @property
    def persons(self) -> np.ndarray:
        """The distinct persons, sorted in their own type."""
        return np.unique(self.person_ids)

    @property
    def is_first(self) -> np.ndarray:
        """Whether a row is its person's first record and so has an empty history, shape (n,)."""
        return self._shown(self.record_numbers == 1)

    @property
    def record_numbers(self) -> np.ndarray:
        """Position 1, 2, ... of every record within its person, history rows included."""
        starts = self.starts
        counts = np.diff(np.append(starts, len(self._rows.frame)))
        numbers: np.ndarray = np.arange(len(self._rows.frame)) - np.repeat(starts, counts) + 1
        return numbers

    @property
    def starts(self) -> np.ndarray:
        """First row of every person among all records, history rows included."""
        person = self._rows.person
        return np.flatnonzero(np.append(True, person[1:] != person[:-1])) if len(person) else np.zeros(0, np.int64)

    @property
    def is_target(self) -> np.ndarray:
        """Which of all records are predicted; the others are history, as after :meth:`split_time`."""
        return self._rows.target.copy()

    @property
    def truth(self) -> pd.DataFrame | None:
        """True probabilities of simulated careers, one row per transition; None for real data."""
        if self._rows.truth is None:
            return None
        return pd.DataFrame(self._rows.truth[self._rows.target], index=self.index, columns=self._choices.index)

    @property
    def sampling_weights(self) -> np.ndarray | None:
        """Survey weights of the rows, normalised to mean one, or None."""
        if self._roles.weights is None:
            return None
        weights = self._shown(self._rows.frame[self._roles.weights].to_numpy(dtype=np.float64))
        if len(weights) and not weights.any():
            raise DataError(f"weights column {self._roles.weights!r} is zero in all {len(weights)} rows.")
        return weights / weights.mean() if len(weights) else weights

    def to_frame(self, *, history: bool = False) -> pd.DataFrame:
        """Copy the rows into a data frame.

        Parameters
        ----------
        history : bool
            Also the records that only serve as history (after :meth:`split_time`).

        Returns
        -------
        pandas.DataFrame
            Sorted by person and time, indexed as the panel's outputs; factors are categorical with frozen levels.

        Examples
        --------
        >>> df = pd.DataFrame({"id": [1, 1], "year": [2001, 2000], "job": ["cook", "clerk"]})
        >>> CareerPanel(df, "id", "year", "job").to_frame()["job"].tolist()
        ['clerk', 'cook']
        """
        frame = self._rows.frame if history else self._rows.frame[self._rows.target]
        return frame.copy()

    def describe(self) -> PanelDescription:
        """Count persons, transitions, states, stays, years and gaps, as Stata's xtdescribe does.

        Returns
        -------
        PanelDescription
            Prints as text; every number is an attribute.

        Examples
        --------
        >>> df = pd.DataFrame({"id": [1, 1], "year": [2000, 2001], "job": ["cook", "cook"]})
        >>> CareerPanel(df, "id", "year", "job").describe().stay_share
        1.0
        """
        times = self._rows.frame[self._roles.time].to_numpy(dtype=np.float64)
        return describe_panel(times, self._rows.outcome, self.record_numbers, self._rows.target, len(self._choices))

    def resumes(self, *, full: bool = False) -> list[Resume] | pd.Series:
        """Write careers as text.

        Parameters
        ----------
        full : bool
            One complete text per person instead of one truncated résumé per transition.

        Returns
        -------
        list of Resume, or pandas.Series of str
            For every transition the truncated résumé TMPL(x_<=t, y_<t) in pieces, in row order; or, with `full`,
            the résumé TMPL(x_<=T, y_<=T) of every person, indexed by person.

        Examples
        --------
        >>> df = pd.DataFrame({"id": [1, 1], "year": [2000, 2001], "job": ["Clerk", "Cook"]})
        >>> print(CareerPanel(df, "id", "year", "job").resumes()[1].records[0].strip())
        2000: Clerk
        """
        arguments = (self._rows.frame, self.text_columns, self.starts, self._choices, self._rows.outcome)
        if full:
            texts = self._template.render_full(*arguments)
            return pd.Series(texts, index=self._rows.person[self.starts], name="resume", dtype="object")
        prefixes = self._template.render(*arguments)
        return [prefix for prefix, keep in zip(prefixes, self._rows.target, strict=True) if keep]

    def with_template(self, template: ResumeTemplate) -> CareerPanel:
        """Return the same panel with careers worded in another way.

        Raises
        ------
        OptionError
            If it is no template, or names columns that the panel has not.

        Examples
        --------
        >>> df = pd.DataFrame({"id": [1], "year": [2000], "job": ["Clerk"]})
        >>> panel = CareerPanel(df, "id", "year", "job").with_template(ResumeTemplate(opening=""))
        >>> panel.resumes()[0].text
        '2000:'
        """
        if not isinstance(template, ResumeTemplate):
            raise OptionError(f"template is a {type(template).__name__}; give a ResumeTemplate.")
        template.check(self.text_columns)
        panel = self._with_rows(self._rows)
        panel._template = template
        return panel

    @property
    def text_columns(self) -> Columns:
        """Which columns résumés are made of, with their words."""
        roles, words = self._roles, self._value_labels
        static, dynamic = roles.of_records
        return Columns(roles.time, static, dynamic, roles.lagged, self._labels, values=words)

    # Other panels made from this one

    def split(self, shares: Sequence[float], seed: int = 0) -> tuple[CareerPanel, ...]:
        """Divide the persons at random.

        Parameters
        ----------
        shares : sequence of float
            Positive shares of persons that sum to one, for instance [0.7, 0.1, 0.2].
        seed : int
            Persons sorted in their own type are permuted by ``numpy.random.default_rng(seed).permutation`` and cut
            after floor(round(n * cumulative share, 9)) persons; the last part takes the rest.

        Returns
        -------
        tuple of CareerPanel
            One per share; copies of a resampled person go together.

        Raises
        ------
        OptionError
            For shares that are not positive or do not sum to one, or leave a part without persons.

        Examples
        --------
        >>> df = pd.DataFrame({"id": range(10), "year": 2000, "job": ["cook", "clerk"] * 5})
        >>> [len(part) for part in CareerPanel(df, "id", "year", "job").split([0.7, 0.1, 0.2])]
        [7, 1, 2]
        """
        try:
            portions = np.asarray(list(shares), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise OptionError(f"shares={shares!r} is no list of numbers; give shares as [0.7, 0.1, 0.2].") from error
        if portions.ndim != 1 or not len(portions) or (portions <= 0).any() or not abs(portions.sum() - 1) <= 1e-9:
            raise OptionError(f"shares={list(shares)!r} must be positive and sum to one, as [0.7, 0.1, 0.2].")
        ids = np.unique(self.origin_ids)
        cuts = np.floor(np.round(len(ids) * np.cumsum(portions), 9)).astype(int)
        cuts[-1] = len(ids)
        if (np.diff(np.append(0, cuts)) == 0).any():
            raise OptionError(f"shares={list(shares)!r} leave a part empty: the panel has only {len(ids)} persons.")
        order = ids[np.random.default_rng(resolve_seed(seed)).permutation(len(ids))]
        return tuple(self._keep(np.isin(self._rows.origin, part)) for part in np.split(order, cuts[:-1]))

    def split_time(self, year: float) -> tuple[CareerPanel, CareerPanel]:
        """Divide by time: records up to a year for estimation, later ones for testing with their histories.

        Parameters
        ----------
        year : float
            Last time of the first part, in units of the time column.

        Returns
        -------
        tuple of two CareerPanel
            Records up to `year`; and later records, whose earlier records are kept as history and not predicted.

        Raises
        ------
        OptionError
            If either part would be empty.

        Examples
        --------
        >>> df = pd.DataFrame({"id": [1, 1], "year": [2000, 2001], "job": ["cook", "clerk"]})
        >>> early, late = CareerPanel(df, "id", "year", "job").split_time(2000)
        >>> len(early), len(late), bool(late.is_first[0])
        (1, 1, False)
        """
        check_number("year of split_time()", year)
        times = self._rows.frame[self._roles.time].to_numpy()
        early, target = times <= year, self._rows.target
        if not (early & target).any() or not (~early & target).any():
            observed = (
                f"{plain_code(times[target].min())} to {plain_code(times[target].max())}" if target.any() else "none"
            )
            raise OptionError(f"split_time({year!r}) leaves one part empty: {self._roles.time} runs from {observed}.")
        return self._predicting(early & target, early), self._predicting(
            ~early & target, np.ones(len(times), dtype=bool)
        )

    def subset(self, persons: Iterable[Any]) -> CareerPanel:
        """Keep some persons, with all their records.

        Parameters
        ----------
        persons : iterable
            Identifiers as in :attr:`persons`.

        Returns
        -------
        CareerPanel

        Raises
        ------
        DataError
            If an identifier is not in the panel, with count and first offenders; for a mask of booleans.

        Examples
        --------
        >>> df = pd.DataFrame({"id": [1, 2], "year": 2000, "job": ["cook", "clerk"]})
        >>> CareerPanel(df, "id", "year", "job").subset([2]).persons.tolist()
        [2]
        """
        if isinstance(persons, str) or not isinstance(persons, Iterable):
            raise OptionError(f"persons={persons!r} is no list; give a list of identifiers, [{persons!r}].")
        wanted = pd.Index(list(persons))
        own = pd.api.types.infer_dtype(self._rows.person) == "boolean"
        if not own and any(isinstance(v, bool | np.bool_) for v in wanted):
            raise DataError("persons holds booleans; give identifiers, as in panel.persons[panel.persons < 3].")
        known = wanted.isin(pd.Index(self._rows.person))
        if not known.all():
            missing = wanted[~known]
            raise DataError(
                f"{len(missing)} persons are not in the panel: {listing(missing)}."
                f"{did_you_mean(missing[0], self.persons[:1000])}"
            )
        return self._keep(pd.Index(self._rows.person).isin(wanted))

    def resample(self, seed: Seed = None) -> CareerPanel:
        """Draw as many persons as there are, with replacement.

        Parameters
        ----------
        seed : int, SeedSequence, Generator or None
            Source of randomness.

        Returns
        -------
        CareerPanel
            Persons are numbered 0, 1, ... and rows anew; :attr:`origin_ids` keeps the person each was drawn from.

        Examples
        --------
        >>> df = pd.DataFrame({"id": [1, 2, 3], "year": 2000, "job": ["cook", "clerk", "cook"]})
        >>> CareerPanel(df, "id", "year", "job").resample(seed=1).persons.tolist()
        [0, 1, 2]
        """
        starts = self.starts
        counts = np.diff(np.append(starts, len(self._rows.frame)))
        drawn = np.random.default_rng(resolve_seed(seed)).integers(len(starts), size=len(starts))
        lengths = counts[drawn]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = np.repeat(starts[drawn], lengths) + within
        taken = self._rows.take(rows, self._rows.target[rows])
        ids = np.repeat(np.arange(len(drawn)), lengths)
        frame = taken.frame.reset_index(drop=True)
        frame[self._roles.person] = ids
        return self._with_rows(Rows(frame, taken.outcome, ids, taken.origin, taken.target, taken.truth))

    def _predicting(self, target: np.ndarray, among: np.ndarray) -> CareerPanel:
        """Return the panel that predicts some records, with the others of the same persons in `among` as history."""
        kept = among & np.isin(self._rows.person, self._rows.person[target])
        return self._with_rows(self._rows.take(np.flatnonzero(kept), target[kept]))

    def _keep(self, mask: np.ndarray) -> CareerPanel:
        return self._with_rows(self._rows.take(np.flatnonzero(mask), self._rows.target[mask]))

"""The rows of a data set as estimation and evaluation see them: outcomes, weights, clusters and groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet
from econllm.errors import DataError, MissingColumnError, OptionError, check_columns, did_you_mean, listing
from econllm.panel import CareerPanel

Data = CareerPanel | pd.DataFrame


@dataclass(frozen=True)
class Sample:
    """The rows of a data set as evaluation sees them.

    Attributes
    ----------
    index : pandas.Index
        Row labels.
    outcome : numpy.ndarray of int64, shape (n,)
        Position of the realised outcome in a choice set.
    clusters : numpy.ndarray, shape (n,)
        Person in the data (origin), or the row itself in a data frame.
    first : numpy.ndarray of bool, shape (n,)
        Rows without a history; all False in a data frame.
    weights : numpy.ndarray or None
        Sampling weights with mean one.
    of_panel : bool
        Whether rows are records of persons; rows of a data frame are independent and have no histories.
    """

    index: pd.Index
    outcome: np.ndarray
    clusters: np.ndarray
    first: np.ndarray
    weights: np.ndarray | None
    of_panel: bool

    def __len__(self) -> int:
        return len(self.index)

    def take(self, kept: np.ndarray) -> Sample:
        """Keep some rows."""
        weights = None if self.weights is None else self.weights[kept]
        return Sample(
            self.index[kept], self.outcome[kept], self.clusters[kept], self.first[kept], weights, self.of_panel
        )


def read_choice_set(data: Data, outcome: str | None) -> ChoiceSet:
    """The choice set of a panel, or the outcomes of a data frame in order.

    Parameters
    ----------
    data : CareerPanel or DataFrame
        The estimation sample.
    outcome : str or None
        Outcome column of a data frame.

    Raises
    ------
    DataError
        For data of another kind or without rows, and for outcomes that are no categories.
    MissingColumnError
        If a data frame lacks the outcome.

    Examples
    --------
    >>> read_choice_set(pd.DataFrame({"y": ["b", "a", "b"]}), "y").codes
    ('a', 'b')
    """
    if not isinstance(data, CareerPanel | pd.DataFrame):
        raise DataError(f"data is a {type(data).__name__}; give a CareerPanel or a pandas DataFrame.")
    if not len(data):
        raise DataError("the data to estimate on have no rows.")
    if isinstance(data, CareerPanel):
        return data.choices
    if outcome is None:
        raise DataError("this model follows careers: give a CareerPanel, not a data frame.")
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
            f"outcome {outcome!r} holds fractions such as {float(values[values % 1 != 0].iloc[0]):g}; outcomes are "
            "categories."
        )

    def order(code: Hashable) -> tuple[bool, Hashable]:
        return isinstance(code, str), code

    codes = sorted(values.unique().tolist(), key=order)
    return ChoiceSet(codes, [labels.get(code, str(code)) for code in codes] if labels else None)


def read_sample(data: Data, outcome: str | None, choices: ChoiceSet) -> Sample:
    """Read rows and realised outcomes of a panel or data frame.

    Parameters
    ----------
    data : CareerPanel or DataFrame
        The rows.
    outcome : str or None
        Outcome column of a data frame; a panel knows its own.
    choices : ChoiceSet
        In whose positions outcomes are given.

    Returns
    -------
    Sample

    Raises
    ------
    DataError
        For outcomes that are missing or outside the choice set.
    MissingColumnError
        If a data frame lacks the outcome.

    Examples
    --------
    >>> read_sample(pd.DataFrame({"y": ["b"]}), "y", ChoiceSet(["a", "b"])).outcome.tolist()
    [1]
    """
    if isinstance(data, CareerPanel):
        position = data.outcome
        if data.choices.codes != choices.codes:
            values = pd.Series(data.choices.index.to_numpy(dtype=object)[position], name=str(data.roles.occupation))
            try:
                position = choices.positions(values, str(data.roles.occupation))
            except DataError as error:
                raise DataError(
                    f"{error} Panels made apart share their choices if both get the same ChoiceSet: "
                    "titles=ChoiceSet.from_titles(titles)."
                ) from None
        return Sample(data.index, position, data.origin_ids, data.is_first, data.sampling_weights, True)
    if not isinstance(data, pd.DataFrame):
        raise DataError(f"data is a {type(data).__name__}; give a CareerPanel or a pandas DataFrame.")
    if outcome is None:
        raise DataError("this model follows careers: give a CareerPanel, not a data frame.")
    check_columns(data, [outcome], "outcome")
    missing = data[outcome].isna().to_numpy()
    if missing.any():
        raise DataError(
            f"outcome {outcome!r} is missing in {int(missing.sum())} of {len(data)} rows, first at index "
            f"{listing(data.index[missing], 3)}; drop these rows first."
        )
    position = choices.positions(data[outcome], outcome)
    return Sample(data.index, position, np.arange(len(data)), np.zeros(len(data), dtype=bool), None, False)


def last_occupation(panel: CareerPanel, choices: ChoiceSet) -> np.ndarray:
    """Occupation of the record before, for every row that is predicted.

    Parameters
    ----------
    panel : CareerPanel
        The rows.
    choices : ChoiceSet
        In whose positions occupations are given.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        Position plus one; 0 at a first record.

    Raises
    ------
    DataError
        For an occupation outside the choice set.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 1], "year": [2000, 2001], "job": ["b", "a"]})
    >>> panel = CareerPanel(df, "id", "year", "job")
    >>> last_occupation(panel, panel.choices).tolist()
    [0, 2]
    """
    occupation = panel.roles.occupation
    frame = panel.to_frame(history=True)
    position = choices.positions(frame[occupation], str(occupation))
    before = np.where(panel.record_numbers > 1, np.roll(position, 1) + 1, 0)
    out: np.ndarray = before[panel.is_target].astype(np.int64)
    return out


def fit_weights(data: Data, weights: pd.Series | None, sampling: bool, *, normalise: bool = True) -> np.ndarray | None:
    """Combine survey weights and the weights given to `fit`, row by row.

    Parameters
    ----------
    data : CareerPanel or DataFrame
        The rows.
    weights : pandas.Series or None
        Indexed by person (of the panel) or by row.
    sampling : bool
        Use the survey weights of the panel.
    normalise : bool
        Divide by the mean.

    Returns
    -------
    numpy.ndarray of float64, shape (n,), or None when nothing is weighted

    Raises
    ------
    DataError
        For a bare array, an index that covers neither the rows nor the persons, or weights that are negative, missing
        or all zero.
    OptionError
        If survey weights are asked for and there are none.

    Examples
    --------
    >>> fit_weights(pd.DataFrame({"y": [1, 2]}), pd.Series([1.0, 3.0]), False).tolist()
    [0.5, 1.5]
    """
    total = None
    if sampling:
        total = data.sampling_weights if isinstance(data, CareerPanel) else None
        if total is None:
            raise OptionError("weighted=True needs survey weights: give weights='column' to CareerPanel.")
    if weights is not None:
        given = _check_weights(_weights_by_row(data, weights))
        total = given if total is None else total * given
        if not total.any():
            raise DataError("every row has weight zero, in the survey weights or in those given to fit.")
    return total / total.mean() if normalise and total is not None else total


def _weights_by_row(data: Data, weights: pd.Series) -> np.ndarray:
    if not isinstance(weights, pd.Series):
        raise DataError(
            f"weights is a {type(weights).__name__}; give a pandas Series indexed by person or by row, so that "
            "no row can get another's weight."
        )
    if not weights.index.is_unique:
        raise DataError("the index of weights holds duplicates; give one weight per person or per row.")
    given = pd.to_numeric(weights, errors="coerce").astype(np.float64)
    readings = {"row": data.index}
    if isinstance(data, CareerPanel):
        readings = {"person": pd.Index(data.origin_ids), **readings}
    covered = {kind: label for kind, label in readings.items() if label.isin(given.index).all()}
    if not covered:
        kind, label = next(iter(readings.items()))
        absent = label[~label.isin(given.index)].unique()
        raise DataError(
            f"weights covers neither every row nor every person: {len(absent)} of {label.nunique()} {kind}s are "
            f"not in its index, first {listing(absent, 3)}."
        )
    found = {kind: given.reindex(label).to_numpy() for kind, label in covered.items()}
    if len(found) == 2 and not np.array_equal(found["person"], found["row"]):
        # Persons and rows share labels: only an index that is exactly one of them tells which is meant.
        exact = [kind for kind, label in covered.items() if len(given) == label.nunique()]
        if len(exact) != 1:
            raise DataError(
                "the index of weights could mean persons or rows, which share labels here; give one weight for each "
                "person of the panel, or weights.loc[panel.index] for its rows."
            )
        return found[exact[0]]
    return next(iter(found.values()))


def _check_weights(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all() or (values < 0).any() or not values.sum() > 0:
        raise DataError("weights must be numbers, finite, not negative, and not all zero.")
    return values


def evaluation_weights(rows: Sample, weights: bool) -> np.ndarray | None:
    """Survey weights of the rows if they are asked for.

    Raises
    ------
    OptionError
        If they are asked for and there are none.
    """
    if weights and rows.weights is None:
        raise OptionError("weights=True needs survey weights: give weights='column' to CareerPanel.")
    return rows.weights if weights else None


def groups_of(labels: np.ndarray) -> list[Any]:
    """Distinct labels in order, missing ones left out.

    Examples
    --------
    >>> groups_of(np.array(["b", None, "a"], dtype=object))
    ['a', 'b']
    """
    distinct = pd.Index(labels).dropna().unique()
    try:
        return list(distinct.sort_values())
    except TypeError:  # labels of several types have no order of their own
        return sorted(distinct, key=str)


def column_of(data: Data, column: str, what: str) -> pd.Series:
    """A column of the rows that are predicted, or an error that names the nearest one.

    Raises
    ------
    OptionError
        If it is not one name.
    MissingColumnError
        If there is no such column.
    DataError
        If the data frame has several of that name.
    """
    if not isinstance(column, str):
        raise OptionError(f"{what}={column!r} must be the name of one column.")
    frame = data.to_frame() if isinstance(data, CareerPanel) else data
    if column not in frame.columns:
        raise MissingColumnError(
            f"{what}={column!r} is no column.{did_you_mean(column, frame.columns)} Columns: "
            f"{listing(frame.columns, 12)}."
        )
    check_columns(frame, [column], what)
    return frame[column]


def _means_column(data: Data, name: object) -> bool:
    """Whether a word with a meaning of its own names a column of a data frame, which then comes first."""
    return isinstance(data, pd.DataFrame) and name in data.columns


def cluster_labels(data: Data, rows: Sample, cluster: str) -> np.ndarray:
    """Cluster of every row: the person, or the values of a column.

    Raises
    ------
    DataError
        If the column has missing values.
    """
    if isinstance(cluster, str) and cluster == "person" and not _means_column(data, cluster):
        return rows.clusters
    values = column_of(data, cluster, "cluster")
    if values.isna().any():
        raise DataError(f"cluster column {cluster!r} is missing in {int(values.isna().sum())} rows.")
    return values.astype(object).to_numpy()


def group_labels(data: Data, rows: Sample, by: str) -> np.ndarray:
    """Group of every row: the values of a column, or what a word with a meaning of its own says of the career.

    Parameters
    ----------
    data : CareerPanel or DataFrame
        The rows.
    rows : Sample
        The same, as evaluation sees them.
    by : str
        A column, or "history" (first records against the others), "move" (first records, stayers and movers, by what
        happened), "decade" (of the time). A column of a data frame comes before such a word.

    Returns
    -------
    numpy.ndarray of object, shape (n,)

    Raises
    ------
    DataError
        If no row has a group, careers are asked of a data frame, or decades of times that are no numbers.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 1, 1], "year": [1989, 1990, 1991], "job": ["a", "b", "b"]})
    >>> panel = CareerPanel(df, "id", "year", "job")
    >>> rows = read_sample(panel, None, panel.choices)
    >>> group_labels(panel, rows, "move").tolist(), group_labels(panel, rows, "decade").tolist()
    (['first record', 'mover', 'stayer'], ['1980s', '1990s', '1990s'])
    """
    if isinstance(by, str) and by in _WORDS and not _means_column(data, by):
        if not isinstance(data, CareerPanel):
            raise DataError(f"by={by!r} needs careers: give a CareerPanel, not a data frame.")
        if by in data.to_frame().columns:
            raise OptionError(f"by={by!r} could mean the panel's column or a word of its own: rename the column.")
        return _WORDS[by](data, rows).astype(object)
    values = column_of(data, by, "by")
    if values.isna().all():
        raise DataError(f"by column {by!r} is missing in every row.")
    # Nullable types have a missing value that cannot be compared with anything.
    out: np.ndarray = values.astype(object).where(values.notna(), None).to_numpy()
    return out


def _histories(panel: CareerPanel, rows: Sample) -> np.ndarray:
    return np.where(rows.first, "first record", "with a history")


def _moves(panel: CareerPanel, rows: Sample) -> np.ndarray:
    stayed = last_occupation(panel, panel.choices) == panel.outcome + 1
    return np.where(rows.first, "first record", np.where(stayed, "stayer", "mover"))


def _decades(panel: CareerPanel, rows: Sample) -> np.ndarray:
    try:
        times = panel.times.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"by='decade' needs times that are years; {panel.roles.time!r} is not.") from error
    return np.array([f"{10 * int(time // 10)}s" for time in times])


# Words that `by` understands beside columns.
_WORDS: dict[str, Callable[[CareerPanel, Sample], np.ndarray]] = {
    "history": _histories,
    "move": _moves,
    "decade": _decades,
}

"""Long data, one row per case and alternative, made wide: one row per case."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet, plain_code
from econllm.errors import DataError, OptionError, check_columns, did_you_mean, listing

_AVAILABLE = "available"


def from_long(
    df: pd.DataFrame,
    case: Hashable,
    alternative: Hashable,
    chosen: Hashable,
    varying: Sequence[Hashable] | None = None,
) -> pd.DataFrame:
    """Turn long data, as R's mlogit and Stata's cmclogit take them, into one row per case.

    Parameters
    ----------
    df : pandas.DataFrame
        One row per case and alternative, in any order; it is not changed.
    case : hashable
        Column that identifies the choice situation.
    alternative : hashable
        Column with the alternative of the row: whole numbers or text.
    chosen : hashable
        Column that says what was chosen: true or 1 in the row of the chosen alternative and false or 0 in the others,
        or the chosen alternative itself in all rows of the case.
    varying : sequence of hashable, optional
        Columns that vary within a case. By default those that do in these data.

    Returns
    -------
    pandas.DataFrame
        One row per case, in the order in which cases first occur: the case; a column named as `alternative` with the
        chosen one, categorical with all alternatives; the columns that are constant within cases; a column
        ``x[alternative]`` for every varying column x and every alternative; and, where some case lacks some
        alternative, columns ``available[alternative]`` for ``choice_sets="available"``.

    Raises
    ------
    MissingColumnError
        If a column is absent, naming the nearest one.
    DataError
        For cases with an alternative twice, none or several chosen, missing identifiers, and columns not in `varying`
        that vary; with counts and first cases.

    Notes
    -----
    A formula reads the varying columns right of a bar: ``"mode ~ income | price[alt] + time[alt]"``.

    Examples
    --------
    >>> df = pd.DataFrame({"id": [1, 1, 2, 2], "mode": ["bus", "car"] * 2, "took": [1, 0, 0, 1], "cost": [2, 3, 2, 5]})
    >>> from_long(df, case="id", alternative="mode", chosen="took").to_dict("list")
    {'id': [1, 2], 'mode': ['bus', 'car'], 'cost[bus]': [2, 2], 'cost[car]': [3, 5]}
    """
    if not isinstance(df, pd.DataFrame):
        raise DataError(f"from_long() takes a data frame, not a {type(df).__name__}.")
    if isinstance(varying, str):
        raise OptionError(f"varying={varying!r} is one text; give a list of columns, [{varying!r}].")
    for name, what in ((case, "case"), (alternative, "alternative"), (chosen, "chosen")):
        check_columns(df, [name], what)
    if len({case, alternative, chosen}) < 3:
        raise OptionError("case, alternative and chosen are three columns; one of them is given twice.")
    if not len(df):
        raise DataError("the data frame has no rows.")
    _check_keys(df, case, alternative)
    codes = _codes(df[alternative])
    choices = ChoiceSet(codes)
    place = choices.positions(df[alternative], str(alternative))
    number, cases = pd.factorize(df[case])
    won = _won(df, case, alternative, chosen, number, cases)
    others: list[Hashable] = [column for column in df.columns if column not in (case, alternative, chosen)]
    moving = _moving(df, number, cases, others, varying)
    first = np.zeros(len(cases), dtype=np.int64)
    first[number[::-1]] = np.arange(len(df) - 1, -1, -1)
    outcome = np.zeros(len(cases), dtype=np.int64)
    outcome[number[won]] = place[won]
    columns: dict[Hashable, object] = {case: df[case].iloc[first].array}
    columns[alternative] = pd.Categorical.from_codes(outcome, categories=pd.Index(list(choices.codes)))
    columns |= {column: df[column].iloc[first].array for column in others if column not in moving}
    there = np.zeros((len(cases), len(choices)), dtype=bool)
    there[number, place] = True
    wide = [_by_alternative(df[column], column, number, place, there, choices) for column in moving]
    if not there.all():
        wide.append({f"{_AVAILABLE}[{code}]": there[:, j] for j, code in enumerate(choices.codes)})
    for group in wide:
        _check_new(group, columns)
        columns |= group
    out = pd.DataFrame(columns)
    out.attrs = dict(df.attrs)
    return out


def _check_keys(df: pd.DataFrame, case: Hashable, alternative: Hashable) -> None:
    for name in (case, alternative):
        missing = df[name].isna().to_numpy()
        if missing.any():
            raise DataError(
                f"column {name!r} is missing in {int(missing.sum())} of {len(df)} rows, first at index "
                f"{listing(df.index[missing], 3)}."
            )
    twice = df.duplicated([case, alternative]).to_numpy()
    if twice.any():
        pairs = df.loc[twice, [case, alternative]].head(4).itertuples(index=False, name=None)
        raise DataError(
            f"{int(twice.sum())} rows repeat a pair of case and alternative, first "
            f"{listing([tuple(plain_code(v) for v in pair) for pair in pairs], 3)}; keep one row for each."
        )


def _codes(values: pd.Series) -> list[Hashable]:
    """Alternatives in the order of their categories, else sorted."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(values.cat.remove_unused_categories().cat.categories)
    if pd.api.types.is_bool_dtype(values):
        raise DataError(f"alternative column {values.name!r} is boolean; convert it with astype(int), or to text.")
    codes = [plain_code(code) for code in values.unique()]
    return sorted(codes, key=lambda code: (isinstance(code, str), code))


def _won(
    df: pd.DataFrame, case: Hashable, alternative: Hashable, chosen: Hashable, number: np.ndarray, cases: pd.Index
) -> np.ndarray:
    """Rows of the chosen alternatives, exactly one per case."""
    values = df[chosen]
    missing = values.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"chosen column {chosen!r} is missing in {int(missing.sum())} of {len(df)} rows, first at index "
            f"{listing(df.index[missing], 3)}."
        )
    held = [plain_code(v) for v in values.astype(object)]
    of_row = [plain_code(v) for v in df[alternative].astype(object)]
    if set(held) <= {0, 1}:  # True and False are equal to 1 and 0
        won = np.array([bool(v) for v in held])
    elif set(held) <= set(of_row):
        _check_constant(values, number, cases, "the chosen alternative")
        won = np.array([a == b for a, b in zip(held, of_row, strict=True)])
    else:
        wrong = [v for v in dict.fromkeys(held) if v not in set(of_row)]
        raise DataError(
            f"chosen column {chosen!r} holds {listing(wrong, 3)}; give true or false, 1 or 0, or the chosen "
            f"alternative.{did_you_mean(wrong[0], set(of_row)) if isinstance(wrong[0], str) else ''}"
        )
    count = np.bincount(number, won, minlength=len(cases))
    for bad, what in ((count == 0, "no chosen alternative"), (count > 1, "several chosen alternatives")):
        if bad.any():
            raise DataError(f"{int(bad.sum())} of {len(cases)} cases have {what}, first {listing(cases[bad], 3)}.")
    return won


def _varying_cases(values: pd.Series, number: np.ndarray, cases: pd.Index) -> np.ndarray:
    """Cases within which a column varies; missing counts as a value."""
    try:
        codes = pd.factorize(values)[0]
    except TypeError as error:
        raise DataError(f"column {values.name!r} holds objects that cannot be compared: {error}.") from error
    low, high = np.full(len(cases), len(values)), np.full(len(cases), -2)
    np.minimum.at(low, number, codes)
    np.maximum.at(high, number, codes)
    varies: np.ndarray = low < high
    return varies


def _check_constant(values: pd.Series, number: np.ndarray, cases: pd.Index, what: str) -> None:
    varies = _varying_cases(values, number, cases)
    if varies.any():
        raise DataError(
            f"column {values.name!r}, {what}, varies within {int(varies.sum())} of {len(cases)} cases, first "
            f"{listing(cases[varies], 3)}."
        )


def _moving(
    df: pd.DataFrame, number: np.ndarray, cases: pd.Index, others: list[Hashable], varying: Sequence[Hashable] | None
) -> list[Hashable]:
    """Columns that become one per alternative."""
    check_columns(df, others, "data")
    if varying is None:
        return [column for column in others if _varying_cases(df[column], number, cases).any()]
    check_columns(df, varying, "varying")
    wrong = [column for column in varying if column not in others]
    if wrong:
        raise OptionError(f"varying holds {wrong[0]!r}, which is given as case, alternative or chosen.")
    for column in others:
        if column not in varying:
            _check_constant(df[column], number, cases, "not in varying=")
    return list(varying)


def _by_alternative(
    values: pd.Series, name: Hashable, number: np.ndarray, place: np.ndarray, there: np.ndarray, choices: ChoiceSet
) -> dict[Hashable, object]:
    row = np.zeros(there.shape, dtype=np.int64)
    row[number, place] = np.arange(len(values))
    found: dict[Hashable, object] = {}
    for j, code in enumerate(choices.codes):
        column = values.iloc[row[:, j]]
        if not there[:, j].all():
            if pd.api.types.is_bool_dtype(column):
                column = column.astype(np.float64)
            column = column.where(there[:, j])
        found[f"{name}[{code}]"] = column.array
    return found


def _check_new(group: dict[Hashable, object], columns: dict[Hashable, object]) -> None:
    twice = [name for name in group if name in columns]
    if twice:
        raise DataError(f"the data already have a column {twice[0]!r}, which from_long() makes; rename it.")

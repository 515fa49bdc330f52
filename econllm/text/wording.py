"""Words for cell values, and the filling of format strings by whole columns.

Nothing here ever parses a cell: braces and percent signs in titles or values are printed as they stand.
"""

from __future__ import annotations

import string
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from econllm.errors import DataError, OptionError, did_you_mean, listing, refusal

Pieces = tuple[tuple[str, str | None], ...]


def parse_pieces(option: str, text: str) -> Pieces:
    """Cut a format string into (literal text, name of the field after it) pieces.

    Parameters
    ----------
    option : str
        Name of the option that holds the text, for messages.
    text : str
        A format string with plain fields such as ``{time}``; ``{{`` prints a brace.

    Returns
    -------
    tuple of (str, str or None)

    Raises
    ------
    OptionError
        If the text is no string, has unbalanced braces, an empty field, or a field with a conversion or format.

    Examples
    --------
    >>> parse_pieces("record", "{time}: {title}")
    (('', 'time'), (': ', 'title'))
    """
    if not isinstance(text, str):
        raise OptionError(refusal(option, text, "not allowed", "give a text"))
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise OptionError(f"{option}={text!r} cannot be read ({error}); write {{{{ or }}}} for a brace.") from error
    for _, name, spec, conversion in parsed:
        if name == "":
            raise OptionError(f"{option}={text!r} has a field without a name; write for example {{time}}.")
        if spec or conversion:
            raise OptionError(
                f"{option}={text!r} formats the field {name!r}; fields are words already: write {{{name}}}."
            )
    return tuple((literal, name) for literal, name, _, _ in parsed)


def check_fields(option: str, pieces: Pieces, allowed: Sequence[str]) -> None:
    """Raise if a format string has a field that nothing fills.

    Raises
    ------
    OptionError
        Naming the field, the fields there are and the nearest of them.

    Examples
    --------
    >>> check_fields("opening", (("From ", "dataset"),), ["dataset"])
    """
    for _, name in pieces:
        if name is not None and name not in allowed:
            fields = ", ".join(f"{{{field}}}" for field in allowed) or "none"
            raise OptionError(
                f"{option} has the field {{{name}}}, which nothing fills.{did_you_mean(name, allowed)} "
                f"Its fields: {fields}."
            )


def fill(pieces: Pieces, fields: Mapping[str, Sequence[str]], rows: int) -> list[str]:
    """Fill a parsed format string for every row.

    Parameters
    ----------
    pieces : tuple
        From :func:`parse_pieces`.
    fields : mapping from field to sequence of str
        The words of each field, row by row.
    rows : int
        Number of rows.

    Returns
    -------
    list of str

    Examples
    --------
    >>> fill(parse_pieces("record", "in {time}:"), {"time": ["1980", "1981"]}, 2)
    ['in 1980:', 'in 1981:']
    """
    columns: list[Sequence[str]] = []
    for literal, name in pieces:
        if literal:
            columns.append([literal] * rows)
        if name is not None:
            columns.append(fields[name])
    return ["".join(parts) for parts in zip(*columns, strict=True)] if columns else [""] * rows


def is_single_line(text: str) -> bool:
    r"""Whether a text has no line break of any kind (Unicode has several).

    Examples
    --------
    >>> is_single_line("a b"), is_single_line("a\u2028b")
    (True, False)
    """
    return text.splitlines() in ([], [text])


def plain(value: Any) -> Any:
    """Python value of a numpy scalar; whole floats become integers, as Stata stores codes as floats.

    Examples
    --------
    >>> plain(np.float64(3.0)), plain(np.float32(0.5))
    (3, 0.5)
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def words_for(value: Any, missing: str = "unknown") -> str:
    """How one cell is printed: numbers with at most six significant digits, yes and no, dates without midnight.

    Whole numbers are printed in full.

    Parameters
    ----------
    value : object
        A cell.
    missing : str
        What is printed for a missing or blank cell.

    Returns
    -------
    str
        Without blanks at its ends.

    Examples
    --------
    >>> [words_for(v) for v in (1980.0, 13.75, np.float32(13.7), 1.028854347803183, True, None, " South ")]
    ['1980', '13.75', '13.7', '1.02885', 'yes', 'unknown', 'South']
    """
    if isinstance(value, str):
        return value.strip() or missing
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return missing
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, pd.Timestamp):
        return str(value.date()) if value == value.normalize() else str(value)
    whole = plain(value)
    if isinstance(whole, float) and not whole.is_integer():
        # Six significant digits; those before the point are never lost.
        return format(whole, ".0f" if 1e5 <= abs(whole) < 1e15 else ".6g")
    return str(whole if isinstance(whole, int) else value).strip() or missing


def column_words(column: pd.Series, words: Mapping[Any, str] | None = None, missing: str = "unknown") -> list[str]:
    """Words of every cell of a column; each distinct value is put into words once.

    Parameters
    ----------
    column : pandas.Series
        Cells of any type.
    words : mapping from value to str, optional
        Words of single values, used before the general rules.
    missing : str
        What is printed for a missing cell.

    Returns
    -------
    list of str, one per row

    Raises
    ------
    DataError
        If a cell has a line break: it would end the line of its record.

    Examples
    --------
    >>> column_words(pd.Series([1.0, 0.0, None], name="union"), {1: "member"})
    ['member', '0', 'unknown']
    """
    codes, uniques = _factorize(column)
    given = words or {}
    texts = [given.get(plain(value)) or words_for(value, missing) for value in uniques]
    broken = [text for text in texts if not is_single_line(text)]
    if broken:
        raise DataError(
            f"column {column.name!r} has {len(broken)} values with a line break, such as {listing(broken, 2)}; a résumé"
            " has one line per record: replace the line breaks, for example with .str.replace('\\n', ' ')."
        )
    table = np.array([*texts, missing], dtype=object)
    found: list[str] = table[codes].tolist()
    return found


def _factorize(column: pd.Series) -> tuple[np.ndarray, Sequence[Any]]:
    """Position of every cell among the distinct values; -1, the last place of a table, for missing cells."""
    if column.dtype != object:
        codes, uniques = pd.factorize(column)
        # An index yields Python floats; only numpy's own remember that they are short (13.7, not 13.699999809).
        short = isinstance(column.dtype, np.dtype) and column.dtype.kind == "f"
        return codes, list(uniques.to_numpy() if short else uniques)
    # pandas takes 1 and True for one value and would print both as whichever comes first in the data.
    seen: dict[tuple[type, Hashable], int] = {}
    missing = column.isna().to_numpy()
    codes = np.array(
        [-1 if gone else seen.setdefault((type(v), v), len(seen)) for v, gone in zip(column, missing, strict=True)], int
    )
    return codes, [value for _, value in seen]

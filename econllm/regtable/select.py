"""Which coefficients a table shows, in which order, and which of them share a line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from econllm.errors import OptionError
from econllm.regtable.naming import Labels, Name, Pattern, check_patterns, labelled
from econllm.regtable.source import Source

# A term with more columns than this takes one line, unless it is asked for.
WIDEST = 30
_EMBEDDING = re.compile(r"(?<!\w)embed\(")


def names_of(sources: Sequence[Source], labels: Labels) -> dict[str, Name]:
    """Names of all columns of all models, by column, in the models' order and with the intercept last.

    Examples
    --------
    >>> names_of([], {})
    {}
    """
    found: dict[str, Name] = {}
    for source in sources:
        pairs = source.coefs[["column", "term"]].drop_duplicates()
        for column, term in zip(pairs["column"], pairs["term"], strict=True):
            if column not in found:
                found[column] = Name(column, term, labelled(column, source.facts, labels))
    constants = [column for column in found if column in ("Intercept", "const")]
    return {column: found[column] for column in [*(c for c in found if c not in constants), *constants]}


def choose_terms(
    sources: Sequence[Source],
    names: Mapping[str, Name],
    terms: Sequence[Pattern] | None,
    drop: Sequence[Pattern],
) -> list[Source]:
    """Keep the coefficients that are asked for, and count the others.

    Parameters
    ----------
    sources : sequence of Source
    names : mapping of str to Name
        From :func:`names_of`.
    terms : sequence of str or re.Pattern, optional
        What to show; by default everything.
    drop : sequence of str or re.Pattern
        What to leave out.

    Returns
    -------
    list of Source

    Raises
    ------
    OptionError
        If a name or an expression finds nothing.

    Examples
    --------
    >>> choose_terms([], {}, None, [])
    []
    """
    check_patterns("terms", terms or (), list(names.values()))
    check_patterns("drop", drop, list(names.values()))
    kept = {
        column
        for column, name in names.items()
        if (terms is None or any(map(name.matches, terms))) and not any(map(name.matches, drop))
    }
    return [_keep(source, kept) for source in sources]


def _keep(source: Source, kept: set[str]) -> Source:
    here = source.coefs["column"].isin(kept)
    return source.with_coefs(source.coefs[here], int(source.coefs.loc[~here, "count"].sum()))


def collapse_terms(
    sources: Sequence[Source], names: Mapping[str, Name], collapsed: Mapping[str, Sequence[Pattern]]
) -> tuple[list[Source], dict[str, list[bool]]]:
    """Take groups of coefficients out of the models, leaving which models have them.

    Returns
    -------
    list of Source
        Without these coefficients, which do not count as left out.
    dict of str to list of bool
        By group and model.

    Raises
    ------
    OptionError
        If a name or an expression finds nothing.

    Examples
    --------
    >>> collapse_terms([], {}, {})
    ([], {})
    """
    rest, present = list(sources), {}
    for label, patterns in collapsed.items():
        check_patterns(f"collapse[{label!r}]", patterns, list(names.values()))
        found = {column for column, name in names.items() if any(map(name.matches, patterns))}
        here = [source.coefs["column"].isin(found) for source in sources]
        present[label] = [bool(inside.any()) for inside in here]
        rest = [s.with_coefs(s.coefs[~s.coefs["column"].isin(found)]) for s in rest]
    return rest, present


def condense(sources: Sequence[Source], names: Mapping[str, Name], terms: Sequence[Pattern] | None) -> list[Source]:
    """Put terms of very many columns, and every embedding, on one line per equation.

    Parameters
    ----------
    sources : sequence of Source
    names : mapping of str to Name
    terms : sequence of str or re.Pattern, optional
        Terms that the user asked for; they are shown in full.

    Returns
    -------
    list of Source
        Whose coefficients of a wide term are one line: their number, and the root of the sum of their squares.

    Examples
    --------
    >>> condense([], {}, None)
    []
    """
    asked = {column for column, name in names.items() if any(map(name.matches, terms or ()))}
    return [_condense(source, asked) for source in sources]


def _condense(source: Source, asked: set[str]) -> Source:
    coefs = source.coefs
    sizes = coefs.groupby("term")["column"].nunique()
    wide = [term for term, size in sizes.items() if size > 1 and (size > WIDEST or _EMBEDDING.search(str(term)))]
    inside = coefs["term"].isin(wide) & ~coefs["column"].isin(asked)
    if not inside.any():
        return source
    # Every wide term keeps the place of its first column.
    lines = coefs[inside].copy()
    lines["place"] = lines.index
    grouped = lines.groupby(["response", "term"], sort=False, dropna=False)
    one = grouped.agg(place=("place", "min"), norm=("estimate", _norm), count=("count", "sum")).reset_index()
    one = one.assign(column=one["term"], estimate=one["norm"]).set_index("place")
    nothing = pd.DataFrame(np.nan, one.index, ["std_error", "statistic", "p_value", "lower", "upper"])
    joined = pd.concat([coefs[~inside], one.drop(columns="norm").join(nothing)[coefs.columns]]).sort_index()
    return source.with_coefs(joined)


def _norm(values: pd.Series) -> float:
    return float(np.linalg.norm(values.to_numpy()))


def line_names(sources: Sequence[Source], names: Mapping[str, Name], labels: Labels) -> dict[str, Name]:
    """Names of the lines that are left, with the number of coefficients that a line stands for.

    Examples
    --------
    >>> line_names([], {}, {})
    {}
    """
    lines: dict[str, Name] = {}
    counts: dict[str, set[int]] = {}
    for source in sources:
        for column, term, count in zip(*(source.coefs[c] for c in ("column", "term", "count")), strict=True):
            if count > 1:
                counts.setdefault(column, set()).add(count)
            if column not in lines:
                lines[column] = names.get(column) or Name(column, term, labelled(column, source.facts, labels))
    for column, found in counts.items():
        size = f"{min(found):,}" if len(found) == 1 else f"{min(found):,} to {max(found):,}"
        lines[column] = Name(column, lines[column].term, f"{lines[column].label}: norm of {size} coef.")
    constants = [column for column in lines if column in ("Intercept", "const")]
    return {column: lines[column] for column in [*(c for c in lines if c not in constants), *constants]}


def arrange(lines: Mapping[str, Name], order: Sequence[Pattern] | None) -> list[str]:
    """Order the lines: first those that are named, in the order of the names, then the others as they were.

    Raises
    ------
    OptionError
        If a name or an expression finds nothing.

    Examples
    --------
    >>> arrange({"a": Name("a", "a", "a"), "b": Name("b", "b", "b")}, ["b"])
    ['b', 'a']
    """
    check_patterns("order", order or (), list(lines.values()))
    first = [column for pattern in order or () for column, name in lines.items() if name.matches(pattern)]
    return list(dict.fromkeys([*first, *lines]))


def gather(
    lines: Mapping[str, Name], columns: Sequence[str], groups: Mapping[str, Sequence[Pattern]]
) -> list[tuple[str, list[str]]]:
    """Put lines under the titles of groups; the others stay without one, below.

    Returns
    -------
    list of (title, columns)

    Raises
    ------
    OptionError
        If a name or an expression finds nothing, or a line would belong to two groups.

    Examples
    --------
    >>> gather({"a": Name("a", "a", "a"), "b": Name("b", "b", "b")}, ["a", "b"], {"First": ["b"]})
    [('First', ['b']), ('', ['a'])]
    """
    found: list[tuple[str, list[str]]] = []
    taken: dict[str, str] = {}
    for title, patterns in groups.items():
        check_patterns(f"groups[{title!r}]", patterns, list(lines.values()))
        members = [column for column in columns if any(map(lines[column].matches, patterns))]
        for column in members:
            if column in taken:
                raise OptionError(f"{lines[column].label!r} is in groups {taken[column]!r} and {title!r}; keep one.")
            taken[column] = title
        found.append((title, members))
    rest = [column for column in columns if column not in taken]
    return [*found, *([("", rest)] if rest else [])]

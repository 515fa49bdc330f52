"""The table that every summary and comparison returns."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd

from econllm.errors import OptionError, did_you_mean, listing
from econllm.files import check_target, write_text
from econllm.tables.content import Cell, Column, Fact, Panel, Row, as_column, as_panels, check_widths
from econllm.tables.html import html_table, notebook_table
from econllm.tables.latex import latex_table
from econllm.tables.layout import one_line
from econllm.tables.markdown import markdown_table
from econllm.tables.text import text_table
from econllm.tables.word import write_word


@dataclass(frozen=True, repr=False)
class Table:
    r"""A finished table: labelled values and how to print them.

    Parameters
    ----------
    columns : sequence of str or Column
        The columns; a Column adds a number format, an alignment or a spanning heading.
    body : sequence of Row, Panel, or of sequences
        The rows; a sequence is read as a label followed by one value per column. Panels set rows apart under a title.
    title : str
        Title or caption.
    header : str
        Heading of the column of row labels.
    facts : mapping of str to value, or sequence of Fact
        Statistics printed above the rows in two columns of pairs.
    notes : str or sequence of str
        Notes under the table.
    key : str, optional
        LaTeX label, such as "tab:fit".

    Raises
    ------
    OptionError
        If a row has a number of cells other than the number of columns, or the key is no LaTeX label.

    Examples
    --------
    >>> fit = Table(["Perplexity", Column("p", "pvalue")], [("Empirical", 4.7049, None), ("MNLogit", 4.5881, 0.0004)])
    >>> print(fit)
    ========================================
                          Perplexity       p
    ----------------------------------------
    Empirical                  4.705
    MNLogit                    4.588  <0.001
    ========================================
    """

    columns: tuple[Column, ...]
    body: tuple[Panel, ...]
    title: str
    header: str
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]
    key: str | None

    def __init__(
        self,
        columns: Sequence[str | Column],
        body: Iterable[Row | Panel | Sequence[Any]],
        *,
        title: str = "",
        header: str = "",
        facts: Mapping[str, Cell] | Sequence[Fact] = (),
        notes: str | Sequence[str] = (),
        key: str | None = None,
    ) -> None:
        heads = tuple(as_column(column) for column in columns)
        panels = as_panels(body)
        check_widths(heads, panels)
        if key is not None and not re.fullmatch(r"[A-Za-z0-9:._/+-]+", key):
            raise OptionError(f"key={key!r} is not a LaTeX label: use letters, digits and : . _ / + - only.")
        pairs = facts.items() if isinstance(facts, Mapping) else ()
        given = tuple(Fact(name, value) for name, value in pairs) if isinstance(facts, Mapping) else tuple(facts)
        object.__setattr__(self, "columns", heads)
        object.__setattr__(self, "body", panels)
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "header", header)
        object.__setattr__(self, "facts", given)
        object.__setattr__(self, "notes", (notes,) if isinstance(notes, str) else tuple(notes))
        object.__setattr__(self, "key", key)

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        *,
        title: str = "",
        header: str | None = None,
        formats: Mapping[Any, str] | None = None,
        row_formats: Mapping[Any, str] | None = None,
        facts: Mapping[str, Cell] | Sequence[Fact] = (),
        notes: str | Sequence[str] = (),
        key: str | None = None,
    ) -> Table:
        """Make a table from a data frame: its index labels the rows, its columns the columns.

        Parameters
        ----------
        df : pandas.DataFrame
            With two levels of columns, the outer ones become spanning headings; with two levels of index, runs of
            the same outer label become panels.
        title : str
            Title or caption.
        header : str, optional
            Heading of the row labels; by default the name of the (inner) index.
        formats, row_formats : mapping, optional
            Number formats by column name and by row label; those of rows win. With two levels, names are pairs.
        facts, notes, key
            As for the class.

        Returns
        -------
        Table

        Raises
        ------
        OptionError
            For more than two levels, or a format of a column or row that is not in the frame.

        Examples
        --------
        >>> df = pd.DataFrame({"coef": [0.5, -1.25], "rows": [10, 2000]}, index=["educ", "exper"])
        >>> print(Table.from_frame(df, formats={"coef": ".2f", "rows": ",d"}, title="Estimates"))
                       Estimates
        ========================================
                                      coef  rows
        ----------------------------------------
        educ                          0.50    10
        exper                        -1.25 2,000
        ========================================
        """
        if df.columns.nlevels > 2 or df.index.nlevels > 2:
            raise OptionError(
                f"the frame has {df.columns.nlevels} levels of columns and {df.index.nlevels} of index; a table takes "
                "at most two of each."
            )
        by_column, by_row = dict(formats or {}), dict(row_formats or {})
        _check_names("formats", by_column, df.columns)
        _check_names("row_formats", by_row, df.index)
        columns = [
            Column(str(name[1]), by_column.get(name), str(name[0]))
            if isinstance(name, tuple) and df.columns.nlevels == 2
            else Column(str(name), by_column.get(name))
            for name in df.columns
        ]
        rows = [
            (name, Row(str(name[1] if df.index.nlevels == 2 else name), cells, by_row.get(name)))
            for name, *cells in zip(df.index, *(df.iloc[:, j] for j in range(df.shape[1])), strict=True)
        ]
        body: list[Row | Panel] = [row for _, row in rows]
        if df.index.nlevels == 2:
            runs = groupby(rows, key=lambda pair: pair[0][0])
            body = [Panel(str(outer), [row for _, row in members]) for outer, members in runs]
        name = df.index.names[-1]
        heading = ("" if name is None else str(name)) if header is None else header
        return cls(columns, body, title=title, header=heading, facts=facts, notes=notes, key=key)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all panels."""
        return tuple(row for panel in self.body for row in panel.rows)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return notebook_table(self)

    def to_text(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the table as aligned plain text, as `print` shows it.

        Parameters
        ----------
        path : str or path, optional
            File to write as well.

        Returns
        -------
        str

        Raises
        ------
        OptionError
            If the folder of the file does not exist; nothing is written then.

        Examples
        --------
        >>> print(Table([], [], facts={"Persons": 545, "Rows": 4360}).to_text())
        ========================================
        Persons:       545    Rows:         4360
        ========================================
        """
        return _deliver(text_table(self), path)

    def to_latex(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        fragment: bool = False,
        siunitx: bool = False,
        landscape: bool | None = None,
        longtable: bool | None = None,
    ) -> str:
        r"""Write the table as LaTeX; everything in it is escaped.

        Parameters
        ----------
        path : str or path, optional
            File to write as well, to be read by ``\input``.
        fragment : bool
            Whether to leave out the ``table`` float with its caption and label, for a float of one's own. A table
            longer than a page is a ``longtable``, which cannot stand inside a float: its fragment lacks the caption
            and the label only.
        siunitx : bool
            Whether to align numbers at the decimal point, in the ``S`` columns of siunitx (version 3); brackets and
            stars around a number do not shift it. Cells without a number, and headings, are centred above and below.
        landscape : bool, optional
            Whether to put the table on a turned page, of pdflscape. By default where it is wider than a page of the
            article class even in the smallest font. A fragment leaves turning to the document, and is set for the width
            of a turned page only where this is True.
        longtable : bool, optional
            Whether to write a ``longtable``, which breaks over pages. By default where the table is longer than a page
            of the article class; False keeps it in one float, whatever its length.

        Returns
        -------
        str
            Starting with a comment that names the packages to load: booktabs, threeparttable or longtable, siunitx
            where asked for, pdflscape where the page is turned, and array where labels are wrapped.

        Raises
        ------
        OptionError
            If the folder of the file does not exist; nothing is written then.

        Examples
        --------
        >>> print(Table(["Share"], [("R&D", 0.5)], title="5% of firms", key="tab:rd").to_latex())
        % needs: booktabs, threeparttable
        \begin{table}[htbp]
        \centering
        \begin{threeparttable}
        \caption{5\% of firms}
        \label{tab:rd}
        \begin{tabular*}{0.6\linewidth}{@{\extracolsep{\fill}}lr@{}}
        \toprule
         & Share \\
        \midrule
        R\&D & 0.500 \\
        \bottomrule
        \end{tabular*}
        \end{threeparttable}
        \end{table}
        <BLANKLINE>
        """
        latex = latex_table(self, fragment=fragment, siunitx=siunitx, landscape=landscape, longtable=longtable)
        return _deliver(latex, path)

    def to_html(self, path: str | os.PathLike[str] | None = None, *, fragment: bool = False) -> str:
        """Write the table as an HTML page.

        Parameters
        ----------
        path : str or path, optional
            File to write as well.
        fragment : bool
            Whether to write the table alone, without page and style.

        Returns
        -------
        str

        Raises
        ------
        OptionError
            If the folder of the file does not exist; nothing is written then.

        Examples
        --------
        >>> Table(["a < b"], [("x", 1)]).to_html(fragment=True).count("&lt;")
        1
        """
        return _deliver(html_table(self, fragment=fragment), path)

    def to_word(self, path: str | os.PathLike[str]) -> None:
        """Write the table as a Word document, through the package maketables.

        A table that is too wide for the page even in the smallest font is set on a turned one.

        Parameters
        ----------
        path : str or path
            File to write, which ends in ".docx".

        Raises
        ------
        OptionError
            If the folder of the file does not exist, the file is none of Word, or maketables is not installed
            (``pip install "econllm[tables]"``); nothing is written then.

        Examples
        --------
        >>> Table(["n"], [("x", 1)]).to_word("table.doc")
        Traceback (most recent call last):
            ...
        econllm.errors.OptionError: path='table.doc': a Word document ends in '.docx'.
        """
        write_word(self, path)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the table as GitHub Markdown.

        Parameters
        ----------
        path : str or path, optional
            File to write as well.

        Returns
        -------
        str

        Raises
        ------
        OptionError
            If the folder of the file does not exist; nothing is written then.

        Examples
        --------
        >>> print(Table(["n"], [("x", 1)], header="Name").to_markdown())
        | Name | n |
        | :--- | ---: |
        | x | 1 |
        """
        return _deliver(markdown_table(self), path)

    def to_frame(self) -> pd.DataFrame:
        """Return the values, unformatted, as a data frame.

        Returns
        -------
        pandas.DataFrame
            Rows by label, under their panel where one has a title; columns by heading, under their spanning heading
            where there is one. `attrs` holds the title, the facts and the notes.

        Examples
        --------
        >>> Table(["n"], [("x", 1), ("y", None)]).to_frame().loc["x", "n"]
        np.float64(1.0)
        """
        labels = [one_line(column.label) for column in self.columns]
        header = one_line(self.header) or None
        groups = [column.group for column in self.columns]
        pairs = [(panel.title, row.label) for panel in self.body for row in panel.rows]
        names = pd.MultiIndex.from_tuples(pairs, names=[None, header]) if pairs else pd.Index([])
        if not any(panel.title for panel in self.body):
            names = pd.Index([label for _, label in pairs], name=header, dtype=object)
        data = {j: [row.cells[j] for row in self.rows] for j in range(len(self.columns))}
        frame = pd.DataFrame(data, index=names)
        frame.columns = pd.MultiIndex.from_arrays([groups, labels]) if any(groups) else pd.Index(labels, dtype=object)
        frame.attrs = {
            "title": self.title,
            "facts": {fact.label: fact.value for fact in self.facts},
            "notes": list(self.notes),
        }
        return frame


def _deliver(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        check_target(path)
        write_text(path, text if text.endswith("\n") else text + "\n")
    return text


def _check_names(option: str, given: Mapping[Any, str], allowed: Iterable[Hashable]) -> None:
    names = list(allowed)
    for name in given:
        if name not in names:
            raise OptionError(
                f"{option} names {name!r}, which is not in the frame.{did_you_mean(name, names)} It has "
                f"{listing(names, 12)}."
            )

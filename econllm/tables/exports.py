"""What everything that prints as a table has: text, LaTeX, HTML, Markdown, Word."""

from __future__ import annotations

import abc
import os

from econllm.tables.table import Table


class TableExports(abc.ABC):
    """Exports of a finding that lays itself out as a table.

    Examples
    --------
    >>> class Sizes(TableExports):
    ...     def table(self):
    ...         return Table(["n"], [("x", 1)], header="Name")
    >>> print(Sizes().to_markdown())
    | Name | n |
    | :--- | ---: |
    | x | 1 |
    """

    @abc.abstractmethod
    def table(self) -> Table:
        """Lay the finding out as a table."""

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table().to_html(fragment=True)

    def to_latex(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        fragment: bool = False,
        siunitx: bool = False,
        landscape: bool | None = None,
        longtable: bool | None = None,
    ) -> str:
        """Write the table in LaTeX, see :meth:`econllm.Table.to_latex`."""
        return self.table().to_latex(path, fragment=fragment, siunitx=siunitx, landscape=landscape, longtable=longtable)

    def to_html(self, path: str | os.PathLike[str] | None = None, *, fragment: bool = False) -> str:
        """Write the table in HTML, see :meth:`econllm.Table.to_html`."""
        return self.table().to_html(path, fragment=fragment)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the table in Markdown, see :meth:`econllm.Table.to_markdown`."""
        return self.table().to_markdown(path)

    def to_word(self, path: str | os.PathLike[str]) -> None:
        """Write the table as a Word file, see :meth:`econllm.Table.to_word`."""
        self.table().to_word(path)

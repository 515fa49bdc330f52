"""A résumé in pieces, so that whoever must shorten it can drop whole records."""

from __future__ import annotations

from typing import NamedTuple


class Resume(NamedTuple):
    r"""Text of one résumé: a header, then one piece of text per record, oldest first.

    Attributes
    ----------
    header : str
        Everything before the first record, final line break included.
    records : tuple of str
        One line per record, line break included; in a truncated résumé the last one stops before the title of the
        record that is to be predicted.

    Examples
    --------
    >>> Resume("A career.\n", ("1980: Cook\n", "1981:")).text
    'A career.\n1980: Cook\n1981:'
    """

    header: str
    records: tuple[str, ...]

    @property
    def text(self) -> str:
        """The pieces joined."""
        return self.header + "".join(self.records)

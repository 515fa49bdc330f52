"""Texts as users give them, checked before anything is encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import pandas as pd

from econllm.errors import DataError, listing
from econllm.text.resume import Resume

Texts = str | Resume | Sequence[str | Resume] | np.ndarray | pd.Series | pd.Index


def check_texts(texts: Any, name: str | None = None) -> list[str | Resume]:
    """Take texts as they come, and refuse what is no text.

    Parameters
    ----------
    texts : str, Resume, or a sequence, array or Series of them
        One text counts as a list of one. An empty string is a text.
    name : str, optional
        What to call the texts in messages; by default the Series' name.

    Returns
    -------
    list of str or Resume

    Raises
    ------
    DataError
        If there is no text, or some are missing, of another type or not valid Unicode, with counts and first
        offenders; and for sets and mappings, which have no order of rows.

    Examples
    --------
    >>> check_texts("Cook")
    ['Cook']
    """
    if isinstance(texts, str | Resume):
        return [texts]
    label = name or getattr(texts, "name", None)
    what = "texts" if label is None else f"text column {label!r}"
    odd = isinstance(texts, pd.DataFrame | Set | Mapping | bytes) or getattr(texts, "ndim", 1) != 1
    if odd or not hasattr(texts, "__iter__"):
        raise DataError(f"{what}: a {type(texts).__name__} cannot be embedded; give one column or list of texts.")
    items = texts.tolist() if hasattr(texts, "tolist") else list(texts)
    if not items:
        raise DataError(f"{what}: there are no texts.")
    wrong = [i for i, item in enumerate(items) if not isinstance(item, str | Resume)]
    if wrong:
        rows = list(texts.index) if isinstance(texts, pd.Series) else range(len(items))
        _refuse(what, items, wrong, rows)
    broken = [i for i, item in enumerate(items) if not _is_unicode(item)]
    if broken:
        rows = list(texts.index) if isinstance(texts, pd.Series) else range(len(items))
        raise DataError(
            f"{what}: {len(broken)} of {len(items)} rows hold lone surrogates, which are no characters, the first in "
            f"rows {listing(rows[i] for i in broken)}. Read the file in its right encoding, or drop them with "
            ".str.encode('utf-8', 'ignore').str.decode('utf-8')."
        )
    return items


def _is_unicode(item: str | Resume) -> bool:
    text = item if isinstance(item, str) else item.text
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _refuse(what: str, items: list[Any], wrong: list[int], rows: Sequence[Any]) -> None:
    missing = [i for i in wrong if pd.api.types.is_scalar(items[i]) and pd.isna(items[i])]
    if missing:
        raise DataError(
            f"{what}: {len(missing)} of {len(items)} rows have no text, the first in rows "
            f"{listing(rows[i] for i in missing)}. Drop them or fill in a text."
        )
    kinds = sorted({type(items[i]).__name__ for i in wrong})
    # Arrays and the like would fill the message.
    simple = all(pd.api.types.is_scalar(items[i]) for i in wrong)
    found = f": {listing(items[i] for i in wrong)}" if simple else ""
    raise DataError(
        f"{what}: {len(wrong)} of {len(items)} rows hold {' and '.join(kinds)} instead of text, the first in rows "
        f"{listing(rows[i] for i in wrong)}{found}."
    )

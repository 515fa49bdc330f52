"""Checks that a tokenizer cuts a truncated résumé as it cuts the full one."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def is_token_prefix(encode: Callable[[str], Sequence[int]], prefix: str, full: str) -> bool:
    """Whether the tokens of a prefix are the first tokens of the full text.

    Only then may one pass of a language model over the full résumé serve all its transitions.

    Parameters
    ----------
    encode : callable
        Text to token numbers, without special tokens.
    prefix, full : str
        The truncated and the full text.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_token_prefix(lambda text: [len(word) for word in text.split()], "a career", "a career of one")
    True
    """
    head, whole = list(encode(prefix)), list(encode(full))
    return whole[: len(head)] == head

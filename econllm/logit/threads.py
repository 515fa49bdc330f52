"""Sharing out work over threads, the same numbers coming out whatever the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

# Parts into which sums are divided, whatever the number of cores, so that rounding does not depend on the machine.
SHARES = 16

T = TypeVar("T")
R = TypeVar("R")
Map = Callable[[Callable[[T], R], Iterable[T]], list[R]]


def cores() -> int:
    """Cores that this process may use.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def workers(most: int) -> Iterator[Map[Any, Any]]:
    """Give a map that works in several threads, each with linear algebra of its own.

    Parameters
    ----------
    most : int
        Threads that the work is worth; there are never more than cores.

    Yields
    ------
    callable
        Takes a function and its arguments, and gives the list of results in their order.

    Notes
    -----
    Threads of BLAS within each thread would compete for the same cores, so they are held to one.

    Examples
    --------
    >>> with workers(2) as run:
    ...     run(abs, [-1, 2])
    [1, 2]
    """
    count = max(1, min(cores(), most))
    with threadpool_limits(1, user_api="blas"):
        if count == 1:
            yield lambda function, items: [function(item) for item in items]
            return
        with ThreadPoolExecutor(count) as pool:
            yield lambda function, items: list(pool.map(function, items))

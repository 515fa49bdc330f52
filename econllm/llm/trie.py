"""Titles as a tree of tokens: what titles have in common is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from econllm.errors import DataError, listing


@dataclass(frozen=True, eq=False)
class Trie:
    """A tree of token sequences; nodes are numbered parents first, and one branch after the other.

    Attributes
    ----------
    tokens : numpy.ndarray of int64, shape (nodes,)
        Token of every node.
    parents : numpy.ndarray of int64, shape (nodes,)
        Node before; -1 for first tokens.
    depths : numpy.ndarray of int64, shape (nodes,)
        Tokens before it in its sequence.
    leaves : numpy.ndarray of int64, shape (sequences,)
        Node that ends each sequence.

    Examples
    --------
    >>> trie = Trie.of([[5, 6, 1], [5, 1], [7, 1]])
    >>> trie.tokens.tolist(), trie.parents.tolist(), trie.leaves.tolist()
    ([5, 6, 1, 1, 7, 1], [-1, 0, 1, 0, -1, 4], [2, 3, 5])
    """

    tokens: np.ndarray
    parents: np.ndarray
    depths: np.ndarray
    leaves: np.ndarray

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int] | np.ndarray]) -> Trie:
        """Build the tree.

        Parameters
        ----------
        sequences : sequence of token sequences
            Each with a token at its end that tells that it is over.

        Returns
        -------
        Trie

        Raises
        ------
        DataError
            If a sequence is empty, or is another one or its beginning: they would not be separate events.
        """
        children: list[dict[int, int]] = [{}]
        parent_of, token_of, ends = [-1], [-1], []
        for sequence in sequences:
            node = 0
            for token in map(int, sequence):
                if token not in children[node]:
                    children[node][token] = len(children)
                    children.append({})
                    parent_of.append(node)
                    token_of.append(token)
                node = children[node][token]
            ends.append(node)
        wrong = [k for k, node in enumerate(ends) if node == 0 or children[node]]
        twice = len(ends) - len(set(ends))
        if not ends or wrong or twice:
            raise DataError(
                f"of {len(ends)} titles, {len(wrong)} are empty or the beginning of another one in tokens (numbers "
                f"{listing(wrong)}), and {twice} equal another: they need a mark at their end, and texts that differ."
            )
        order, stack = [], list(reversed(children[0].values()))
        while stack:
            node = stack.pop()
            order.append(node)
            stack.extend(reversed(children[node].values()))
        place = np.full(len(children), -1, dtype=np.int64)
        place[order] = np.arange(len(order))
        parents = place[np.array(parent_of)[order]]
        depths = np.zeros(len(order), dtype=np.int64)
        for node, parent in enumerate(parents):
            if parent >= 0:
                depths[node] = depths[parent] + 1
        return cls(np.array(token_of, dtype=np.int64)[order], parents, depths, place[ends])

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return int(self.depths.max()) + 1

    @cached_property
    def inner(self) -> np.ndarray:
        """Nodes that something follows: only they have to be read by a network."""
        return np.unique(self.parents[self.parents >= 0])

    @cached_property
    def roots(self) -> np.ndarray:
        """Nodes of the distinct first tokens."""
        return np.flatnonzero(self.parents < 0)

    @cached_property
    def branches(self) -> np.ndarray:
        """Number of the first token that every node stands under, in the order of `roots`, shape (nodes,)."""
        out: np.ndarray = np.cumsum(self.parents < 0) - 1
        return out

    @cached_property
    def above(self) -> np.ndarray:
        """Whether inner node j is inner node i or stands before it in a sequence, shape (inner, inner) of bool."""
        place = np.full(len(self), -1, dtype=np.int64)
        place[self.inner] = np.arange(len(self.inner))
        out = np.eye(len(self.inner), dtype=bool)
        for i, node in enumerate(self.inner):
            if self.parents[node] >= 0:
                out[i] |= out[place[self.parents[node]]]
        return out

    def path(self, sequence: int) -> np.ndarray:
        """Tokens of a sequence.

        Examples
        --------
        >>> Trie.of([[5, 6, 1], [5, 1]]).path(1).tolist()
        [5, 1]
        """
        node, found = int(self.leaves[sequence]), []
        while node >= 0:
            found.append(self.tokens[node])
            node = int(self.parents[node])
        return np.array(found[::-1], dtype=np.int64)

    def totals(self, edges: np.ndarray) -> np.ndarray:
        """Sum what belongs to the nodes of every sequence.

        Parameters
        ----------
        edges : numpy.ndarray, shape (..., nodes)
            A number per node, such as the log probability of its token after those before it.

        Returns
        -------
        numpy.ndarray of float64, shape (..., sequences)

        Notes
        -----
        The chain rule: log P(title) is the sum of the log probabilities of its tokens, the one that ends it included.

        Examples
        --------
        >>> Trie.of([[5, 6, 1], [5, 1]]).totals(np.array([1.0, 2.0, 3.0, 4.0])).tolist()
        [6.0, 5.0]
        """
        sums = np.array(edges, dtype=np.float64)
        for depth in range(1, self.longest):
            nodes = np.flatnonzero(self.depths == depth)
            sums[..., nodes] += sums[..., self.parents[nodes]]
        out: np.ndarray = sums[..., self.leaves]
        return out

"""Titles as a tree: nothing is lost, nothing is there twice, and what would be no events of their own is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econllm.errors import DataError
from econllm.llm.trie import Trie

END = 0
SEQUENCES = st.lists(
    st.lists(st.integers(1, 4), max_size=5).map(lambda tokens: (*tokens, END)), min_size=1, max_size=25, unique=True
)


def prefixes(sequences):
    return {sequence[:k] for sequence in sequences for k in range(1, len(sequence) + 1)}


def node_paths(trie):
    """What every node stands for: the tokens from the root to it."""
    found = []
    for token, parent in zip(trie.tokens, trie.parents, strict=True):
        found.append((*found[parent], int(token)) if parent >= 0 else (int(token),))
    return found


@given(SEQUENCES)
def test_every_beginning_is_one_node(sequences):
    trie = Trie.of(sequences)
    found = node_paths(trie)
    assert len(found) == len(set(found)) == len(trie)
    assert set(found) == prefixes(sequences)
    assert [found[leaf] for leaf in trie.leaves] == sequences
    assert trie.depths.tolist() == [len(path) - 1 for path in found]
    assert trie.longest == max(map(len, sequences))


@given(SEQUENCES)
def test_paths_give_the_sequences_back(sequences):
    trie = Trie.of(sequences)
    assert [tuple(trie.path(k).tolist()) for k in range(len(sequences))] == sequences


@given(SEQUENCES)
def test_parents_come_first_and_branches_one_after_the_other(sequences):
    trie = Trie.of(sequences)
    assert (trie.parents < np.arange(len(trie))).all()
    # Whatever stands under a node follows it without a gap.
    paths = node_paths(trie)
    for node, path in enumerate(paths):
        under = [k for k, other in enumerate(paths) if other[: len(path)] == path]
        assert under == list(range(node, node + len(under)))
    assert trie.roots.tolist() == [k for k, path in enumerate(paths) if len(path) == 1]
    firsts = [paths[root] for root in trie.roots]
    assert trie.branches.tolist() == [firsts.index(path[:1]) for path in paths]


@given(SEQUENCES)
def test_inner_nodes_are_those_with_something_after_them(sequences):
    trie = Trie.of(sequences)
    paths = node_paths(trie)
    inner = [k for k, path in enumerate(paths) if path[-1] != END]
    assert trie.inner.tolist() == inner
    for i, one in enumerate(inner):
        for j, two in enumerate(inner):
            before = paths[one][: len(paths[two])] == paths[two]
            assert trie.above[i, j] == before


@given(SEQUENCES, st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_totals_are_sums_along_paths(sequences, seed):
    trie = Trie.of(sequences)
    edges = np.random.default_rng(seed).normal(size=(3, len(trie)))
    before = edges.copy()
    place = {path: k for k, path in enumerate(node_paths(trie))}
    expected = [[sum(row[place[s[:k]]] for k in range(1, len(s) + 1)) for s in sequences] for row in edges]
    assert trie.totals(edges) == pytest.approx(np.array(expected), abs=1e-12)
    assert trie.totals(edges[0]) == pytest.approx(np.array(expected[0]), abs=1e-12)
    assert np.array_equal(edges, before)


@given(SEQUENCES, st.data())
def test_a_title_twice_or_the_beginning_of_another_is_refused(sequences, data):
    known = data.draw(st.sampled_from(sequences))
    size = data.draw(st.integers(0, len(known)))
    at = data.draw(st.integers(0, len(sequences)))
    with pytest.raises(DataError, match=r"equal another|beginning of another"):
        Trie.of([*sequences[:at], known[:size], *sequences[at:]])


def test_refusals_say_which_titles_they_mean():
    with pytest.raises(
        DataError, match=r"of 3 titles, 1 are empty or the beginning of another one in tokens \(numbers 2"
    ):
        Trie.of([[5, 6, 1], [7, 1], [5, 6]])
    with pytest.raises(DataError, match=r"of 2 titles, 1 are empty .* \(numbers 1\)"):
        Trie.of([[5], []])
    with pytest.raises(DataError, match="and 1 equal another: they need a mark at their end, and texts that differ"):
        Trie.of([[5, 1], [6, 1], [5, 1]])
    with pytest.raises(DataError, match="of 0 titles"):
        Trie.of([])


def test_titles_of_one_token_have_nothing_to_be_read():
    trie = Trie.of([[3], [5], [4]])
    assert trie.inner.tolist() == []
    assert trie.above.shape == (0, 0)
    assert trie.totals(np.array([1.0, 2.0, 3.0])).tolist() == [1.0, 2.0, 3.0]
    assert trie.longest == 1


def test_a_very_long_title_is_no_recursion():
    trie = Trie.of([[*range(2, 5002), 1], [2, 1]])
    assert len(trie.path(0)) == 5001
    assert trie.totals(np.ones(len(trie))).tolist() == [5001.0, 2.0]

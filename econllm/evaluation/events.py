"""Events that a model gives a probability: a move to another occupation, and states of the labour force."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from econllm.choices import ChoiceSet, state_positions
from econllm.errors import OptionError, refusal

MOVE = "move"


@dataclass(frozen=True)
class Event:
    """What can happen in a row, and where it did.

    Attributes
    ----------
    name : str
        "move", or the name of a state.
    states : numpy.ndarray of int or None
        Positions of the occupations that make up a state; None for a move.
    rows : numpy.ndarray of bool, shape (n,)
        Rows in which it can happen: for a move, those with a history.
    happened : numpy.ndarray of bool, shape (rows.sum(),)
        Whether it did, in these rows.

    Examples
    --------
    >>> outcome, last = np.array([0, 1, 1]), np.array([0, 1, 2])
    >>> event = find_events(None, ChoiceSet(["clerk", "cook"]), outcome, last)["move"]
    >>> event.rows.tolist(), event.happened.tolist()
    ([False, True, True], [True, False])
    """

    name: str
    states: np.ndarray | None
    rows: np.ndarray
    happened: np.ndarray

    def proba(self, log_proba: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Predict the event in the rows in which it can happen.

        Parameters
        ----------
        log_proba : numpy.ndarray of float64, shape (n, choices)
            Log probability of every occupation.
        last : numpy.ndarray of int, shape (n,)
            Position of the occupation before, plus one; 0 without a history.

        Returns
        -------
        numpy.ndarray of float64, shape (rows.sum(),)
            One less the probability of staying, or the sum over the occupations of the state. A result that is improper
            or conservative is taken at its word.
        """
        if self.states is None:
            out: np.ndarray = -np.expm1(log_proba[self.rows, last[self.rows] - 1])
        else:
            out = np.exp(log_proba[np.ix_(self.rows, self.states)]).sum(axis=1)
        return out


def find_events(
    states: Mapping[str, Sequence[Hashable]] | None, choices: ChoiceSet, outcome: np.ndarray, last: np.ndarray
) -> dict[str, Event]:
    """Read which events are asked for and where they happened.

    Parameters
    ----------
    states : mapping of str to sequence, optional
        Name of every state, and the codes or titles of its occupations.
    choices : ChoiceSet
        The occupations.
    outcome : numpy.ndarray of int, shape (n,)
        Position of the realised occupation.
    last : numpy.ndarray of int, shape (n,)
        Position of the occupation before, plus one; 0 without a history.

    Returns
    -------
    dict of str to Event
        "move" first, where there are histories, then the states.

    Raises
    ------
    OptionError
        For states that are no mapping, are named "move", are empty, or name what is no occupation.

    Examples
    --------
    >>> jobs = ChoiceSet([1, 2, 9], ["Clerk", "Cook", "Not working"])
    >>> events = find_events({"out": ["Not working"]}, jobs, np.array([2, 0]), np.array([0, 3]))
    >>> list(events), events["out"].happened.tolist()
    (['move', 'out'], [True, False])
    """
    events = {}
    later = last > 0
    if later.any():
        events[MOVE] = Event(MOVE, None, later, (outcome + 1 != last)[later])
    everywhere = np.ones(len(outcome), dtype=bool)
    for name, positions in read_states(states, choices).items():
        events[name] = Event(name, positions, everywhere, np.isin(outcome, positions))
    return events


def read_states(states: Mapping[str, Sequence[Hashable]] | None, choices: ChoiceSet) -> dict[str, np.ndarray]:
    """Positions of the occupations of every state.

    Raises
    ------
    OptionError
        As :func:`find_events`.

    Examples
    --------
    >>> read_states({"kitchen": [2]}, ChoiceSet([1, 2], ["Clerk", "Cook"]))["kitchen"].tolist()
    [1]
    """
    if states is None:
        return {}
    if not isinstance(states, Mapping):
        raise OptionError(
            refusal("states", states, "not allowed", "give a mapping, {'Not working': [codes or titles]}")
        )
    found = {}
    for name, occupations in states.items():
        if name == MOVE:
            raise OptionError(f"states names a state {MOVE!r}, which stands for a change of occupation; rename it.")
        try:
            found[str(name)] = state_positions(occupations, choices)
        except OptionError as error:
            raise OptionError(f"state {name!r}: {error}") from None
        if not len(found[str(name)]):
            raise OptionError(f"state {name!r} has no occupations: give at least one code or title.")
    return found

"""Simulated careers whose true transition probabilities are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from econllm.choices import ChoiceSet
from econllm.datasets.occ1990dd import load_occ1990dd
from econllm.errors import OptionError, check_number, check_option
from econllm.options import Seed, child_seed, resolve_seed
from econllm.panel import CareerPanel

Process = Literal["mnl", "two_stage"]

# Schooling and experience enter the utilities as deviations from these, which a model's intercepts absorb.
_EDUC, _EXPER = 12, 8


def simulate_careers(
    persons: int,
    occupations: int,
    process: Process = "mnl",
    order: int = 1,
    shift: float = 0.0,
    records: tuple[int, int] = (5, 20),
    seed: Seed = 0,
    parameters_seed: int = 0,
) -> CareerPanel:
    """Draw careers from a known process.

    Parameters
    ----------
    persons : int
        Number of persons.
    occupations : int
        Number of occupations, at least 2; up to 341 they have the codes and titles of :func:`load_occ1990dd`.
    process : {"mnl", "two_stage"}
        "mnl" is a multinomial logit in the formula ``occupation ~ lag(occupation) + educ + exper + sex``, with
        ``lag(occupation, 2)`` added at order 2. "two_stage" first decides whether to stay, by a logit in the last
        occupation, schooling, experience, sex and the log of the spell's length, and then, given a move, where to go,
        by a softmax over the other occupations; at order 2 both depend strongly on the occupation before the last.
    order : {1, 2}
        How many earlier occupations matter.
    shift : float
        Moves every parameter along a fixed direction, one standard deviation per unit: another population, for the
        study of transfer.
    records : (int, int)
        Fewest and most records of a person; the number is uniform between them.
    seed : int, SeedSequence, Generator or None
        Who is drawn and what they do. The parameters do not depend on it: two seeds give two samples of one population.
    parameters_seed : int
        Which population; with `occupations`, `process`, `order` and `shift` it determines the parameters.

    Returns
    -------
    CareerPanel
        Person ``person``, time ``year``, static ``sex`` and ``birth_year``, dynamic ``educ`` and ``exper``, lagged
        ``wage``; ``.truth`` holds the probability of every occupation in every row.

    Raises
    ------
    OptionError
        For numbers or names that are not allowed.

    Notes
    -----
    The exponential of minus the mean log true probability of the realised occupations is the perplexity of an oracle:
    no model does better but by sampling error. Multinomial logit as random utility: McFadden (1974). The two stages
    are those of CAREER (Vafa et al., arXiv 2202.08370).

    Examples
    --------
    >>> panel = simulate_careers(50, 4, records=(3, 3))
    >>> len(panel), panel.truth.shape, bool(np.allclose(panel.truth.sum(axis=1), 1))
    (150, (150, 4), True)
    """
    check_number("persons", persons, minimum=1, integer=True)
    check_number("occupations", occupations, minimum=2, integer=True)
    check_option("process", process, ["mnl", "two_stage"])
    check_option("order", order, [1, 2])
    check_number("shift", shift)
    check_number("parameters_seed", parameters_seed, minimum=0, integer=True)
    fewest, most = _bounds(records)
    people_rng, career_rng, wage_rng = _generators(resolve_seed(seed), 3)
    people = _draw_people(persons, fewest, most, people_rng)
    parameters = _population(occupations, process, order, shift, parameters_seed)
    paths, truth = _draw_paths(people, parameters, process, career_rng)
    return _as_panel(people, paths, truth, _choice_set(occupations), wage_rng)


@dataclass(frozen=True)
class _People:
    """Exogenous covariates: (persons,) arrays, and (persons, records) arrays where they vary."""

    length: np.ndarray
    female: np.ndarray
    birth_year: np.ndarray
    year: np.ndarray
    educ: np.ndarray
    exper: np.ndarray


@dataclass(frozen=True)
class _Population:
    """Parameters of a process; the last row of `last` and `second` stands for no earlier record.

    Attributes
    ----------
    last, second : numpy.ndarray, shape (K + 1, K)
        Utility of every occupation by the last occupation and by the one before; `second` is zero at order 1.
    slopes : numpy.ndarray, shape (3, K)
        Coefficients of schooling, experience and sex.
    stay : numpy.ndarray, shape (K,)
        Intercept of staying, by last occupation.
    stay_slopes : numpy.ndarray, shape (5,)
        Coefficients of schooling, experience, sex, log spell length, and of the record before being the same.
    """

    last: np.ndarray
    second: np.ndarray
    slopes: np.ndarray
    stay: np.ndarray
    stay_slopes: np.ndarray


def _bounds(records: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(records, tuple | list) or len(records) != 2:
        raise OptionError(f"records={records!r} is not allowed: give the fewest and the most records, as (5, 20).")
    for number in records:
        check_number("records", number, minimum=1, integer=True)
    if records[0] > records[1]:
        raise OptionError(f"records={records!r} is not allowed: the fewest records come first.")
    return int(records[0]), int(records[1])


def _generators(root: np.random.SeedSequence, count: int) -> list[np.random.Generator]:
    """Independent streams."""
    return [np.random.default_rng(child_seed(root, child)) for child in range(count)]


def _choice_set(occupations: int) -> ChoiceSet:
    known = load_occ1990dd()
    if occupations > len(known):
        codes = range(1, occupations + 1)
        return ChoiceSet(list(codes), [f"Occupation {code}" for code in codes])
    # Evenly spaced, so that a few occupations still span managers to laborers.
    chosen = known.iloc[np.arange(occupations) * len(known) // occupations]
    return ChoiceSet.from_titles(chosen)


def _draw_people(persons: int, fewest: int, most: int, rng: np.random.Generator) -> _People:
    length = rng.integers(fewest, most + 1, size=persons)
    birth_year = rng.integers(1957, 1985, size=persons)
    first_educ = rng.integers(10, 17, size=persons)
    # Some go on studying beside their first jobs.
    studies = rng.random((persons, most)) < np.where(np.arange(most) < 6, 0.12, 0.01)
    studies[:, 0] = False
    educ = np.minimum(first_educ[:, None] + studies.cumsum(axis=1), 20)
    before = rng.integers(0, 6, size=persons)
    exper = before[:, None] + np.arange(most)
    year = (birth_year + first_educ + 6)[:, None] + exper
    return _People(length, rng.random(persons) < 0.5, birth_year, year, educ, exper)


def _population(occupations: int, process: Process, order: int, shift: float, seed: int) -> _Population:
    """Parameters that depend on nothing but the arguments."""
    entropy = [seed, occupations, order, ("mnl", "two_stage").index(process)]
    base, direction = _generators(np.random.SeedSequence(entropy), 2)
    start, move = _standard_normals(occupations, base), _standard_normals(occupations, direction)
    z = {name: value + shift * move[name] for name, value in start.items()}
    none = np.zeros((1, occupations))
    own = np.vstack([np.eye(occupations), none])
    second = np.zeros_like(own)
    if process == "mnl":
        # More occupations tempt more people away: the pull of one's own grows with their number.
        pull = np.log(occupations) + (0.3 if order == 1 else -0.4)
        last = 0.7 * z["level"] + 0.6 * z["last"] + pull * own
        if order == 2:
            second = 0.6 * z["second"] + 1.2 * own
    else:
        last = 0.7 * z["level"] + 0.8 * z["last"]
        if order == 2:
            # People go back where they came from, or on to one occupation that follows from both.
            onward = np.vstack([np.roll(np.eye(occupations), 1, axis=1), none])
            second = 0.8 * z["second"] + (0.5 * np.log(occupations) + 1.5) * (own + onward)
    slopes = np.array([[0.15], [0.03], [0.5]]) * z["slopes"]
    stay_slopes = np.array([0.05, 0.03, -0.2, 0.4, -1.5]) + 0.02 * z["stay_slopes"]
    stay_slopes[4] *= order == 2
    return _Population(last, second, slopes, 0.6 + 0.6 * z["stay"], stay_slopes)


def _standard_normals(occupations: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shapes = {
        "level": (occupations,),
        "last": (occupations + 1, occupations),
        "second": (occupations + 1, occupations),
        "slopes": (3, occupations),
        "stay": (occupations,),
        "stay_slopes": (5,),
    }
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def _draw_paths(
    people: _People, parameters: _Population, process: Process, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Occupations (persons, records), -1 after a career's end, and true probabilities row by row."""
    persons, most = people.year.shape
    count = parameters.last.shape[1]
    paths = np.full((persons, most), -1)
    truth = np.empty((int(people.length.sum()), count))
    begins = np.cumsum(people.length) - people.length
    # Position `count` stands for no earlier record.
    last, second, spell = np.full(persons, count), np.full(persons, count), np.zeros(persons)
    for t in range(most):
        who = np.flatnonzero(people.length > t)
        proba = _probabilities(people, parameters, process, who, t, last[who], second[who], spell[who])
        # The first occupation whose cumulative probability exceeds a uniform number.
        ladder = proba.cumsum(axis=1)
        drawn = (rng.random(len(who))[:, None] * ladder[:, -1:] >= ladder).sum(axis=1)
        truth[begins[who] + t] = proba
        paths[who, t] = drawn
        spell[who] = np.where(drawn == last[who], spell[who] + 1, 1)
        second[who], last[who] = last[who], drawn
    return paths, truth


def _probabilities(
    people: _People,
    parameters: _Population,
    process: Process,
    who: np.ndarray,
    t: int,
    last: np.ndarray,
    second: np.ndarray,
    spell: np.ndarray,
) -> np.ndarray:
    """Probability of every occupation at record t given the past."""
    known = np.column_stack([people.educ[who, t] - _EDUC, people.exper[who, t] - _EXPER, people.female[who]])
    utility = parameters.last[last] + parameters.second[second] + known @ parameters.slopes
    if process == "mnl" or t == 0:
        return _softmax(utility)
    rows = np.arange(len(who))
    utility[rows, last] = -np.inf
    proba = _softmax(utility)
    reasons = np.column_stack([known, np.log(spell), last == second])
    stay = 1 / (1 + np.exp(-(parameters.stay[last] + reasons @ parameters.stay_slopes)))
    proba *= (1 - stay)[:, None]
    proba[rows, last] = stay
    return proba


def _softmax(utility: np.ndarray) -> np.ndarray:
    weights = np.exp(utility - utility.max(axis=1, keepdims=True))
    proba: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return proba


def _as_panel(
    people: _People, paths: np.ndarray, truth: np.ndarray, choices: ChoiceSet, rng: np.random.Generator
) -> CareerPanel:
    here = paths >= 0
    codes = choices.index.to_numpy()[paths[here]]
    person = np.repeat(np.arange(1, len(paths) + 1), people.length)
    educ, exper = people.educ[here], people.exper[here]
    pay = 1.2 + 0.8 * paths[here] / len(choices) + 0.06 * educ + 0.02 * exper
    frame = pd.DataFrame(
        {
            "person": person,
            "year": people.year[here],
            "occupation": codes,
            "sex": np.where(people.female, "female", "male")[person - 1],
            "birth_year": people.birth_year[person - 1],
            "educ": educ,
            "exper": exper,
            "wage": np.exp(pay + 0.3 * rng.standard_normal(len(pay))).round(2),
        }
    )
    panel = CareerPanel(
        frame,
        person="person",
        time="year",
        occupation="occupation",
        titles=choices,
        static=["sex", "birth_year"],
        dynamic=["educ", "exper"],
        lagged=["wage"],
    )
    return panel._attach_truth(truth)

"""The pretraining text: careers in many wordings, careers over other labels, sentences and labelled lines."""

from __future__ import annotations

from random import Random

from econllm.datasets import WAGE_PANEL_TITLES, load_occ1990dd
from tiny.people import Jobs, make_jobs
from tiny.prose import labelled, sentences
from tiny.wordings import STATES, label_block, occupation_block

# Persons who share a wording; the shares of blocks of each kind; what is left is half sentences, half labels.
PERSONS = 16
SHARES = {"occupations": 0.78, "labels": 0.15}


def load_jobs() -> Jobs:
    """The occupations of occ1990dd, in their groups."""
    frame = load_occ1990dd()
    return make_jobs(frame["occupation"].tolist(), frame["title"].tolist())


def documents(seed: int, count: int, jobs: Jobs, persons: int = PERSONS) -> list[str]:
    """Texts in random order, so many persons to a wording; the same seed and count give the same texts."""
    rng = Random(seed)
    texts: list[str] = []
    while len(texts) < count:
        draw = rng.random()
        if draw < SHARES["occupations"]:
            texts += occupation_block(rng, jobs, persons).texts()
        elif draw < SHARES["occupations"] + SHARES["labels"]:
            texts += label_block(rng, jobs, persons).texts()
        else:
            write = rng.choice([sentences, labelled])
            texts += [write(rng, jobs) for _ in range(persons)]
    texts = texts[:count]
    rng.shuffle(texts)
    return texts


def known_titles(jobs: Jobs) -> list[str]:
    """Titles that deserve tokens of their own: occupations, the usual words for states, and the wage panel's nine."""
    states = [word for words in STATES.values() for word in words]
    return list(dict.fromkeys([*jobs.titles, *states, *WAGE_PANEL_TITLES.values()]))

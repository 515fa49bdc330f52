"""Simulated careers: schooling, jobs with stays, moves and returns, spells without work. No survey is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from tiny.groups import COMMON, GROUPS, Group

Record = dict[str, Any]

SCHOOL, IDLE, UNEMPLOYED, RETIRED, MILITARY = "school", "idle", "unemployed", "retired", "military"
LEVELS = (0, 1, 2, 3, 4, 5)
_LEAVE = ((16, 18), (18, 19), (20, 21), (22, 24), (24, 27), (27, 31))
_YEARS = ((8, 11), (12, 12), (13, 14), (16, 16), (17, 18), (19, 20))
_REGIONS = ("Northeast", "North Central", "South", "West")
_RACES = ("White", "African American", "Hispanic", "Asian", "Other")


@dataclass(frozen=True)
class Jobs:
    """Occupations by position, and how people come to them.

    Attributes
    ----------
    titles : tuple of str
        Titles, ordered by code.
    groups : tuple of Group
        Major group of each.
    members : tuple of tuple of int
        Positions of the occupations in the same group, for each.
    tastes : dict from (level, sex) to tuple of float
        Cumulated weights of first choices.
    """

    titles: tuple[str, ...]
    groups: tuple[Group, ...]
    members: tuple[tuple[int, ...], ...]
    tastes: dict[tuple[int, str], tuple[float, ...]]


def make_jobs(codes: Sequence[int], titles: Sequence[str]) -> Jobs:
    """Sort occupations into groups; fails on a code that no group holds."""
    groups = tuple(next(group for group in GROUPS if group.first <= code <= group.last) for code in codes)
    members = tuple(tuple(i for i, other in enumerate(groups) if other is group) for group in groups)
    common = [5.0 if title in COMMON else 1.0 for title in titles]
    tastes = {}
    for level in LEVELS:
        for sex in ("male", "female"):
            tilt = [group.women if sex == "female" else 1 - group.women for group in groups]
            fit = [math.exp(-0.9 * (group.level - 0.75 * level) ** 2) for group in groups]
            weights = [a * b * c for a, b, c in zip(common, tilt, fit, strict=True)]
            tastes[level, sex] = tuple(accumulate(weights))
    return Jobs(tuple(titles), groups, members, tastes)


def years_of_records(rng: Random, first: int) -> list[int]:
    """Calendar years of 5 to 35 records: every year, every second year, or first the one and then the other."""
    count = min(35, 5 + int(rng.expovariate(1 / 12)))
    steps = rng.choices([(1, 1), (2, 2), (1, 2)], weights=[6, 2, 2])[0]
    missing = rng.choice([0.0, 0.0, 0.08])
    years = [first]
    for k in range(1, count):
        step = steps[0] if k < 14 else steps[1]
        years.append(years[-1] + step * (1 + (rng.random() < missing)))
    return years


def career(rng: Random, jobs: Jobs) -> list[Record]:
    """Records of one made-up person, with every attribute that a wording may show."""
    sex = rng.choice(["male", "female"])
    ability = rng.gauss(0, 1)
    level = min(5, max(0, round(1.7 + 1.2 * ability)))
    leave = rng.randint(*_LEAVE[level])
    start = rng.randint(14, 20) if rng.random() < 0.6 else rng.randint(20, 45)
    birth = rng.randint(1935, 2004 - start)
    static: Record = {
        "sex": sex,
        "birth_year": birth,
        "race": rng.choices(_RACES, weights=[55, 20, 17, 5, 3])[0],
        "native": rng.random() < 0.85,
        "score": round(50 + 10 * ability),
        "parents": rng.randint(6, 18),
    }
    region, married, children, union = rng.choice(_REGIONS), False, 0, rng.random() < 0.2
    path = _path(rng, jobs, sex, level, leave, [year - birth for year in years_of_records(rng, birth + start)], birth)
    records = []
    for year, age, job in path:
        region = rng.choice(_REGIONS) if rng.random() < 0.03 else region
        married = (rng.random() < 0.09) if not married and age > 19 else married and rng.random() > 0.04
        children += married and age < 42 and rng.random() < 0.12
        union = rng.random() < 0.5 if rng.random() < 0.15 else union
        now = _level_at(age, level, leave)
        records.append(
            {
                **static,
                "year": year,
                "age": age,
                "region": region,
                "education": now,
                "schooling": _schooling(now, age),
                "experience": max(0, age - max(leave, 16)),
                "married": married,
                "children": children,
                "urban": rng.random() < 0.75,
                "job": job,
                **_pay(rng, jobs, job, age, ability, union),
            }
        )
    return records


def _level_at(age: int, level: int, leave: int) -> int:
    """Level reached at an age, on the way to the last one."""
    return level if age >= leave else min(level, sum(age >= bound for bound in (18, 20, 22, 25)))


def _schooling(level: int, age: int) -> int:
    low, high = _YEARS[level]
    return max(low, min(high, age - 6))


def _path(
    rng: Random, jobs: Jobs, sex: str, level: int, leave: int, ages: Sequence[int], birth: int
) -> list[tuple[int, int, int | str]]:
    """Year, age and occupation (position) or state of every record."""
    path: list[tuple[int, int, int | str]] = []
    held: list[int] = []
    now: int | str = SCHOOL
    tenure = 0
    for age in ages:
        before = now
        if age < leave and rng.random() < (0.8 if age < 17 else 0.5):
            now = SCHOOL
        elif isinstance(now, str):
            now = _from_state(rng, jobs, now, held, sex, _level_at(age, level, leave), age)
        elif rng.random() > min(0.93, 0.62 + 0.03 * tenure + 0.006 * (age - 18)):
            now = _leave_job(rng, jobs, now, held, sex, _level_at(age, level, leave), age)
        tenure = tenure + 1 if now == before else 0
        if isinstance(now, int):
            held.append(now)
        path.append((birth + age, age, now))
    return path


def _from_state(rng: Random, jobs: Jobs, now: str, held: list[int], sex: str, level: int, age: int) -> int | str:
    """Next year of a person without a civilian job: remain, go back to an earlier occupation, or take a first one."""
    remain = {SCHOOL: 0.05, IDLE: 0.6, UNEMPLOYED: 0.3, RETIRED: 0.93, MILITARY: 0.7}[now]
    if rng.random() < remain:
        return now
    if held and rng.random() < 0.6:
        return held[-1]
    if age < 30 and rng.random() < (0.03 if sex == "male" else 0.01):
        return MILITARY
    if now == SCHOOL and rng.random() < 0.12:
        return rng.choice([IDLE, UNEMPLOYED])
    return _new_job(rng, jobs, sex, level)


def _leave_job(rng: Random, jobs: Jobs, now: int, held: list[int], sex: str, level: int, age: int) -> int | str:
    """Next year of a person who gives up a job: stop working, go back, or move, most often to something close."""
    if age > 58 and rng.random() < 0.5:
        return RETIRED
    if rng.random() < 0.22:
        return rng.choice([IDLE, UNEMPLOYED])
    earlier = [job for job in held if job != now]
    draw = rng.random()
    if earlier and draw < 0.4:
        return rng.choice(earlier[-8:])
    if draw < 0.75:
        near = [i for i in jobs.members[now] if i != now and abs(i - now) <= 6]
        if near:
            return rng.choices(near, weights=[1 / abs(i - now) for i in near])[0]
    return _new_job(rng, jobs, sex, level)


def _new_job(rng: Random, jobs: Jobs, sex: str, level: int) -> int:
    return rng.choices(range(len(jobs.titles)), cum_weights=jobs.tastes[level, sex])[0]


def _pay(rng: Random, jobs: Jobs, job: int | str, age: int, ability: float, union: bool) -> Record:
    """What describes the job of a record: hours, wage, union and the like."""
    if isinstance(job, str) and job != MILITARY:
        return {
            "hours": 0,
            "weekly": 0,
            "weeks": 0,
            "hourly_wage": None if rng.random() < 0.8 else round(rng.uniform(4, 20), 2),
            "earnings": 0,
            "union": False,
            "self_employed": False,
        }
    base = 2.7 if isinstance(job, str) else jobs.groups[job].pay
    short = rng.random() < (0.6 if age < 20 else 0.18)
    weekly = rng.randint(8, 34) if short else rng.choices([40, rng.randint(35, 60)], weights=[3, 2])[0]
    weeks = 52 if rng.random() < 0.6 else rng.randint(4, 51)
    wage = math.exp(base - 0.25 + 0.01 * min(age - 18, 30) + 0.08 * ability + 0.1 * union + rng.gauss(0, 0.3))
    wage = round(wage * 4) / 4 if rng.random() < 0.5 else round(wage, 2)
    return {
        "hours": 2080 if weekly == 40 and weeks == 52 else weekly * weeks,
        "weekly": weekly,
        "weeks": weeks,
        "hourly_wage": None if rng.random() < 0.12 else wage,
        "earnings": round(wage * weekly * weeks, -2),
        "union": union,
        "self_employed": rng.random() < 0.08,
    }

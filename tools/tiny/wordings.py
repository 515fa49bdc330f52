"""Many wordings of simulated careers, all of them through ResumeTemplate, as the package itself prints them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pandas as pd

from econllm.choices import ChoiceSet
from econllm.text.columns import Columns
from econllm.text.template import ResumeTemplate
from tiny.people import IDLE, LEVELS, MILITARY, RETIRED, SCHOOL, UNEMPLOYED, Jobs, Record, career, years_of_records

# Words for the states without a civilian job; the first of each is the usual one.
STATES = {
    SCHOOL: ("Education", "In school", "Student", "Enrolled in school", "School"),
    IDLE: ("Not working", "Out of the labor force", "Not in labor force", "Not employed", "No job"),
    UNEMPLOYED: ("Unemployed", "Looking for work", "Unemployed, looking for work", "Unemployment"),
    RETIRED: ("Retired", "Retirement"),
    MILITARY: ("Military occupations", "Military", "Armed forces", "Member of the armed forces"),
}

NAMES = {
    "birth_year": ("birth year", "year of birth", "born", "birthyear", "yob", "cohort"),
    "sex": ("gender", "Sex", "gender of respondent"),
    "race": ("ethnicity", "race or ethnicity", "Race", "ethn"),
    "native": ("US born", "native", "born_abroad_no"),
    "score": ("test score", "afqt", "ability"),
    "parents": ("mother's schooling", "parents' education", "meduc"),
    "region": ("census region", "Region", "area", "region_code"),
    "education": ("education level", "degree", "highest degree", "Education level"),
    "schooling": ("educ", "years of schooling", "schooling", "edyears"),
    "experience": ("exper", "experience", "work experience", "tenure"),
    "age": ("Age", "age in years"),
    "married": ("marital status", "spouse", "mar", "married"),
    "children": ("number of children", "kids", "nchild"),
    "urban": ("city", "lives in a city", "smsa"),
    "hours": ("annual hours", "hours worked", "hrs", "Hours"),
    "weekly": ("hours per week", "weekly hours", "hours"),
    "weeks": ("weeks worked", "wks"),
    "hourly_wage": ("wage", "hourly wage", "pay per hour", "hwage"),
    "earnings": ("annual earnings", "income", "labor income"),
    "union": ("union member", "union", "covered by a union"),
    "self_employed": ("own business", "self-employed", "selfemp"),
}

_LEVEL_WORDS = (
    ("less than high school", "high school", "associate degree", "bachelor's degree", "master's degree", "doctorate"),
    ("no diploma", "high school", "some college", "college", "graduate school", "graduate school"),
    ("less than high school", "high school graduate", "some college", "college graduate", "graduate degree", "PhD"),
    ("<12", "12", "13-15", "16", "17+", "17+"),
)
_VALUES: dict[str, tuple[dict[Any, str], ...]] = {
    "sex": (
        {"male": "male", "female": "female"},
        {"male": "Male", "female": "Female"},
        {"male": "man", "female": "woman"},
        {"male": "M", "female": "F"},
        {"male": "1", "female": "2"},
    ),
    "race": (
        {},
        {},
        {"White": "white", "African American": "black", "Hispanic": "hispanic", "Asian": "asian", "Other": "other"},
        {"African American": "Black"},
        {"White": "non-black, non-hispanic", "African American": "black", "Hispanic": "hispanic"},
    ),
    "region": (
        {},
        {},
        {"North Central": "Midwest"},
        {"Northeast": "north-east", "North Central": "north central", "South": "south", "West": "west"},
        {"Northeast": "1", "North Central": "2", "South": "3", "West": "4"},
    ),
    "education": tuple(dict(zip(LEVELS, words, strict=True)) for words in (_LEVEL_WORDS[0], *_LEVEL_WORDS)),
}
_YES_NO: tuple[dict[Any, str], ...] = (
    {},
    {True: "yes", False: "no"},
    {True: "1", False: "0"},
    {True: "Yes", False: "No"},
)
_FLAGS = ("native", "married", "urban", "union", "self_employed")

# What careers of the NLSY are usually shown with.
USUAL = Columns("year", ("birth_year", "sex", "race"), ("region", "education"), ("hours", "hourly_wage"))
_STATIC = ("birth_year", "sex", "race", "native", "score", "parents")
_DYNAMIC = ("region", "education", "schooling", "experience", "age", "married", "children", "urban")
_LAGGED = ("hours", "weekly", "weeks", "hourly_wage", "earnings", "union", "self_employed")

_OPENINGS = (
    "The career of one person in {dataset}.",
    "",
    "A career.",
    "Career history from {dataset}:",
    "The following are the jobs of a person in {dataset}.",
    "Below is the résumé of a worker.",
    "Work history",
    "### {dataset}",
    "Records of one respondent of {dataset}, year by year.",
    "Jobs held by a person, by year:",
    "Curriculum vitae",
    "What did this person do for a living?",
)
_PERSONS = (
    "About this person: {static}.",
    "Person: {static}",
    "{static}",
    "The person's background: {static}.",
    "Covariates ({static})",
    "A worker with {static}.",
)
# With the fields of their own columns, as a user would write them.
_NAMED_PERSONS = (
    ("sex", "race", "birth_year", "{sex}, {race}, born {birth_year}"),
    ("sex", "birth_year", "A {sex} person born in {birth_year}."),
    ("birth_year", "Born in {birth_year}."),
    ("sex", "race", "The worker is {sex} and {race}."),
    ("race", "birth_year", "Year of birth {birth_year}, {race}."),
    ("sex", "sex: {sex}"),
)
_CLOSINGS = ("End of the career.", "", "END", "End.", "That is all we know about this person.")
_DATASETS = (
    "a longitudinal survey",
    "a panel survey",
    "the survey",
    "a study of income dynamics",
    "the National Longitudinal Survey of Youth",
    "a household panel",
    "administrative data",
    "simulated data",
)
_RECORDS = (
    "{time}, {dynamic}: {title}",
    "{time} | {dynamic} | {title}",
    "In {time} ({dynamic}): {title}",
    "Year {time}; {dynamic}; occupation: {title}",
    "{dynamic}. {time}: {title}",
    "- {time} [{dynamic}] {title}",
    "{time}: {dynamic}: {title}",
    "{time} {dynamic} -> {title}",
)
_BARE_RECORDS = (
    "{time}: {title}",
    "{time} {title}",
    "In {time}: {title}",
    "{time} - {title}",
    "Year {time}, occupation {title}",
    "{time} | {title}",
    "* {time}: {title}",
    "In {time} the person worked as {title}",
)
_DETAILS = (
    " ({lagged})",
    " | {lagged}",
    "; {lagged}",
    " - {lagged}",
    " <{lagged}>",
    " [{lagged}].",
    " / {lagged}",
)

_SYLLABLES = ("ba", "co", "den", "fi", "gar", "ho", "in", "jo", "ka", "lu", "mer", "no", "pe", "ra", "sto", "ti", "ver")
_LABEL_HEADS = (
    "Professional",
    "Managers",
    "Sales workers",
    "Clerical",
    "Craftsmen",
    "Operatives",
    "Laborers",
    "Service workers",
    "Farm laborers",
    "Technical workers",
    "Officials",
    "Foremen",
    "Helpers",
    "Drivers",
    "Teachers",
    "Self-employed",
)
_LABEL_TAILS = (
    " and kindred",
    ", except household",
    " and related workers",
    ", technical and kindred",
    ", foremen and kindred",
    ", n.e.c.",
    " and farmers",
    ", officials and proprietors",
    "",
    "",
    "",
)


@dataclass(frozen=True)
class Block:
    """Persons who share one wording.

    Attributes
    ----------
    template : ResumeTemplate
    columns : Columns
    frame : pandas.DataFrame
        One row per record.
    starts : list of int
        First row of every person.
    choices : ChoiceSet
    positions : list of int
        Occupation of every row.
    """

    template: ResumeTemplate
    columns: Columns
    frame: pd.DataFrame
    starts: list[int]
    choices: ChoiceSet
    positions: list[int]

    def texts(self) -> list[str]:
        """Full résumé of every person."""
        return self.template.render_full(self.frame, self.columns, self.starts, self.choices, self.positions)

    def prefixes(self) -> list[str]:
        """Text up to just before the title of every record."""
        rows = self.template.render(self.frame, self.columns, self.starts, self.choices, self.positions)
        return [row.text for row in rows]


def occupation_block(rng: Random, jobs: Jobs, persons: int, *, usual: bool | None = None) -> Block:
    """Careers with the titles of occ1990dd and words for states; `usual` asks for the default wording or another."""
    careers = [career(rng, jobs) for _ in range(persons)]
    plain = rng.random() < 0.6
    words = {state: texts[0] if plain else rng.choice(texts) for state, texts in STATES.items()}
    if rng.random() < 0.5:
        words |= {UNEMPLOYED: words[IDLE], RETIRED: words[IDLE]}
    titles = [*jobs.titles, *dict.fromkeys(words.values())]
    if rng.random() < 0.12:
        titles = _reworded(rng, titles)
    place = {state: len(jobs.titles) + list(dict.fromkeys(words.values())).index(text) for state, text in words.items()}
    positions = [place[row["job"]] if isinstance(row["job"], str) else row["job"] for rows in careers for row in rows]
    return _block(rng, careers, positions, titles, rng.random() < 0.5 if usual is None else usual)


def label_block(rng: Random, jobs: Jobs, persons: int) -> Block:
    """Careers over a short made-up list of labels, so that labels are copied whatever they are."""
    labels = _labels(rng)
    stay, back = rng.uniform(0.4, 0.92), rng.random()
    popular = [rng.expovariate(1) for _ in labels]
    careers, positions = [], []
    for _ in range(persons):
        rows = career(rng, jobs)[: len(years_of_records(rng, 2000))]
        careers.append(rows)
        own: list[int] = []
        for _ in rows:
            if own and rng.random() < stay:
                own.append(own[-1])
            elif own and rng.random() < back:
                own.append(rng.choice(own))
            else:
                own.append(rng.choices(range(len(labels)), weights=popular)[0])
        positions += own
    return _block(rng, careers, positions, labels, rng.random() < 0.4)


def _labels(rng: Random) -> list[str]:
    """Three to twenty different labels of one kind."""
    count = rng.randint(3, 20)
    word = rng.choice(["Group", "Class", "Sector", "Type", "Occupation", "Level", "State"])
    kinds: tuple[Callable[[int], str], ...] = (
        lambda i: f"{word} {chr(65 + i)}",
        lambda i: f"{word} {i + 1}",
        lambda i: str(i + 1),
        lambda i: str(rng.randint(3, 999)),
        lambda i: _made_up(rng).capitalize(),
        lambda i: _made_up(rng),
        lambda i: rng.choice(_LABEL_HEADS) + rng.choice(_LABEL_TAILS),
        lambda i: rng.choice(_LABEL_HEADS) + rng.choice(_LABEL_TAILS),
        lambda i: f"{rng.choice(_LABEL_HEADS)} and {rng.choice(_LABEL_HEADS).lower()}{rng.choice(_LABEL_TAILS)}",
    )
    kind = rng.choice(kinds)
    return list(dict.fromkeys(kind(i) for i in range(count)))


def _made_up(rng: Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=rng.randint(1, 3)))


def _reworded(rng: Random, titles: Sequence[str]) -> list[str]:
    """Titles as other lists spell them: abbreviated, in capitals or in small letters."""
    short = {
        "Miscellaneous": "Misc.",
        "Supervisors of": "Superv. of",
        " and related": "/related",
        "excluding": "excl.",
        "occupations": "occs",
        "machine operators": "mach ops",
        "public relations": "PR",
        "telecommunications": "telecom",
    }
    kind = rng.choice(["short", "capitals", "small"])
    out = []
    for title in titles:
        if kind == "short":
            for long, abbreviation in short.items():
                title = title.replace(long, abbreviation)
        elif kind == "capitals":
            title = " ".join(part.capitalize() if part not in ("and", "of") else part for part in title.split(" "))
        else:
            title = title.lower()
        out.append(title)
    return out


def _block(
    rng: Random, careers: Sequence[Sequence[Record]], positions: list[int], titles: Sequence[str], usual: bool
) -> Block:
    frame = pd.DataFrame([row for rows in careers for row in rows])
    extra = _extra_columns(rng, frame, [len(rows) for rows in careers]) if not usual and rng.random() < 0.35 else {}
    columns = _columns(rng, usual, extra)
    template, columns = _template(rng, columns, usual)
    mark = template.terminator(columns)
    texts = [title.replace(mark, " ") if mark != "\n" else title for title in titles]
    starts = [0]
    for rows in careers[:-1]:
        starts.append(starts[-1] + len(rows))
    return Block(template, columns, frame, starts, ChoiceSet(range(len(texts)), texts), positions)


def _extra_columns(rng: Random, frame: pd.DataFrame, lengths: Sequence[int]) -> dict[str, str]:
    """Add columns with made-up names and values; gives the role of each."""
    roles = {}
    for _ in range(rng.randint(1, 3)):
        role, name = rng.choice(["static", "dynamic", "lagged"]), _made_up(rng) + rng.choice(["", "_x", "2"])
        if name in frame:
            continue
        words = [_made_up(rng) for _ in range(4)]
        draws: tuple[Callable[[], Any], ...] = (
            lambda: rng.randint(0, 9),
            lambda: round(rng.gauss(0, 20), 2),
            lambda words=words: rng.choice(words),  # type: ignore[misc]
            lambda: rng.random() < 0.5,
        )
        draw = rng.choice(draws)
        if role == "static":
            frame[name] = [value for length in lengths for value in [draw()] * length]
        else:
            frame[name] = [draw() for _ in range(len(frame))]
        roles[name] = role
    return roles


def _columns(rng: Random, usual: bool, extra: dict[str, str]) -> Columns:
    """Which attributes a wording shows, in which role."""
    if usual and rng.random() < 0.4:
        return USUAL

    def some(names: Sequence[str], role: str) -> tuple[str, ...]:
        kept = rng.sample(names, min(len(names), rng.choice([0, 1, 2, 2, 3, 4])))
        return (*kept, *(name for name, given in extra.items() if given == role))

    lagged = some(_LAGGED, "lagged") if rng.random() < 0.65 else ()
    return Columns("year", some(_STATIC, "static"), some(_DYNAMIC, "dynamic"), lagged)


def _template(rng: Random, columns: Columns, usual: bool) -> tuple[ResumeTemplate, Columns]:
    """A wording for columns; named person lines may add columns."""
    used = columns.used
    options: dict[str, Any] = {
        "names": {name: rng.choice(words) for name, words in NAMES.items() if name in used and rng.random() < 0.4},
        "values": {
            name: rng.choice(_YES_NO if name in _FLAGS else _VALUES[name])
            for name in used
            if name in _FLAGS or name in _VALUES
        },
    }
    if usual and columns == USUAL:
        options |= {"names": {}, "values": {"education": _VALUES["education"][0]}}
    elif usual and rng.random() < 0.5:
        options["names"] = {}
    if not usual or rng.random() < 0.2:
        options["dataset"] = rng.choice(_DATASETS)
    if usual:
        return ResumeTemplate(**options), columns
    options["opening"], options["closing"] = rng.choice(_OPENINGS), rng.choice(_CLOSINGS)
    options["missing"] = rng.choice(["unknown", "missing", "NA", "not known"])
    options["person"] = rng.choice(_PERSONS)
    if rng.random() < 0.4:
        *static, options["person"] = rng.choice(_NAMED_PERSONS)
        columns = Columns("year", tuple(static), columns.dynamic, columns.lagged)
        options["names"] = {name: words for name, words in options["names"].items() if name in columns.used}
        options["values"] = {name: words for name, words in options["values"].items() if name in columns.used}
    options["record"] = _record(rng, columns)
    options["details"] = _details(rng, columns)
    return ResumeTemplate(**options), columns


def _record(rng: Random, columns: Columns) -> str:
    """A record's wording: bare, with the phrase of its covariates, or with each of them by name."""
    if not columns.dynamic:
        return rng.choice(_BARE_RECORDS)
    if rng.random() < 0.45:
        return rng.choice(_RECORDS)
    join, end = rng.choice([", ", " ", "; ", " | "]), rng.choice([":", ":", ":", " -", ",", " ->", " |"])
    named = rng.random() < 0.4
    parts = [f"{name} {{{name}}}" if named else f"{{{name}}}" for name in columns.dynamic]
    return rng.choice(["{time}", "{time}", "In {time}", "Year {time}"]) + join + join.join(parts) + end + " {title}"


def _details(rng: Random, columns: Columns) -> str | None:
    """The wording of what follows a title."""
    if not columns.lagged:
        return None
    if rng.random() < 0.6:
        return rng.choice(_DETAILS)
    units = {"hours": "{hours} h", "weekly": "{weekly} h", "weeks": "{weeks} weeks", "hourly_wage": "${hourly_wage}"}
    parts = [units.get(name, f"{name} {{{name}}}") for name in columns.lagged]
    left, right = rng.choice([(" (", ")"), (" [", "]"), ("; ", ""), (" - ", "")])
    return left + rng.choice([", ", "; "]).join(parts) + right

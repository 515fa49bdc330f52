"""Plain sentences about occupations, and lines of text with a label, written from hand-made facts."""

from __future__ import annotations

from random import Random

from tiny.people import Jobs

_KINDS = (
    "{title} {does}.",
    "{title} belong to the {group}. They {does}.",
    "What do {small} do? They {does}.",
    "{title} are {group}: they {does}.",
    "Many {small} once were {other}.",
    "{title} often work with {other}.",
    "The work of {small} is to {does}.",
    "People who {does} may be {small}.",
    "After some years many {small} become {other}.",
    "{title} earn {pay} than {other}.",
    "Most {small} have {school}.",
)
_SCHOOL = (
    "no diploma",
    "a high school diploma",
    "some college",
    "a bachelor's degree",
    "a master's degree",
    "a doctorate",
)
_TONES = {
    "positive": ("rose", "improved", "grew", "are pleased", "gained", "expect more orders", "won a prize"),
    "negative": ("fell", "got worse", "shrank", "are worried", "lost", "expect fewer orders", "were closed"),
    "neutral": (
        "were unchanged",
        "stayed the same",
        "will be reported in May",
        "were reviewed",
        "are based in the city",
    ),
}
_SUBJECTS = ("Sales", "Profits", "Wages", "Prices", "Exports", "Our customers", "The shops", "Hours of work", "Shares")
_WHEN = (
    "last year",
    "in the first quarter",
    "this month",
    "in 2009",
    "again",
    "compared with the year before",
    "today",
)


def sentences(rng: Random, jobs: Jobs) -> str:
    """A few sentences about occupations of one group."""
    lines = []
    start = rng.randrange(len(jobs.titles))
    for _ in range(rng.randint(1, 6)):
        job = rng.choice(jobs.members[start])
        other = rng.choice(jobs.members[start]) if rng.random() < 0.7 else rng.randrange(len(jobs.titles))
        group = jobs.groups[job]
        lines.append(
            rng.choice(_KINDS).format(
                title=jobs.titles[job],
                small=jobs.titles[job].lower(),
                other=jobs.titles[other].lower(),
                does=rng.choice(group.does),
                group=group.name,
                pay="more" if group.pay > jobs.groups[other].pay else "less",
                school=_SCHOOL[round(group.level)],
            )
        )
    return rng.choice([" ", "\n"]).join(lines) + "\n"


def labelled(rng: Random, jobs: Jobs) -> str:
    """Texts, each with a label that follows from it."""
    name = rng.choice(["label", "sentiment", "tone", "class", "answer", "group", "occupation", "y"])
    by_group = rng.random() < 0.5
    lines = []
    for _ in range(rng.randint(1, 5)):
        if by_group:
            job = rng.randrange(len(jobs.titles))
            text = rng.choice(["I am one of those who {does}.", "They {does}.", "Wanted: people who {does}."])
            lines += [text.format(does=rng.choice(jobs.groups[job].does)), f"{name}: {jobs.groups[job].name}"]
        else:
            tone = rng.choice(list(_TONES))
            text = f"{rng.choice(_SUBJECTS)} {rng.choice(_TONES[tone])} {rng.choice(_WHEN)}."
            lines += [text, f"{name}: {tone}"]
    return "\n".join(lines) + "\n"

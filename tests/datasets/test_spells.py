"""Job spells to yearly records: cases by hand, then invariants."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econllm.datasets import from_spells
from econllm.errors import DataError, MissingColumnError, OptionError
from econllm.panel import CareerPanel


def spells(*rows: tuple, columns: str = "id job start end hours") -> pd.DataFrame:
    df = pd.DataFrame(list(rows), columns=columns.split()[: len(rows[0])])
    return df.assign(start=pd.to_datetime(df["start"]), end=pd.to_datetime(df["end"]))


def records(df: pd.DataFrame, **options) -> list[tuple]:
    made = from_spells(df, "start", "end", person="id", occupation="job", **options)
    return list(made.itertuples(index=False, name=None))


def test_most_days_win() -> None:
    df = spells((1, "Cook", "2000-01-01", "2000-06-30"), (1, "Clerk", "2000-07-01", "2000-12-31"))
    # 2000 is a leap year: 182 days as a cook, 184 as a clerk.
    assert records(df) == [(1, 2000, "Clerk")]
    assert records(df.assign(end=pd.to_datetime(["2000-07-10", "2000-12-31"]))) == [(1, 2000, "Cook")]


def test_hours_count_days_times_hours_per_week() -> None:
    df = spells((1, "Cook", "2000-01-01", "2000-12-31", 10.0), (1, "Clerk", "2000-01-01", "2000-06-30", 25.0))
    # 366 / 7 * 10 = 523 hours against 182 / 7 * 25 = 650.
    assert records(df, hours="hours") == [(1, 2000, "Clerk")]
    assert records(df) == [(1, 2000, "Cook")]


def test_spells_over_several_years_and_gaps() -> None:
    df = spells((1, "Cook", "2000-05-01", "2002-03-31"), (1, "Clerk", "2005-01-01", "2005-01-01"))
    jobs = [(1, 2000, "Cook"), (1, 2001, "Cook"), (1, 2002, "Cook")]
    assert records(df) == [*jobs, (1, 2005, "Clerk")]
    assert records(df, gap="Not working") == [
        *jobs,
        (1, 2003, "Not working"),
        (1, 2004, "Not working"),
        (1, 2005, "Clerk"),
    ]
    assert records(df, years=(2001, 2003)) == jobs[1:]


def test_ties_go_to_the_later_start_then_the_later_end_then_the_code() -> None:
    early = (1, "Cook", "2000-01-01", "2000-01-10")
    assert records(spells(early, (1, "Clerk", "2000-02-01", "2000-02-10"))) == [(1, 2000, "Clerk")]
    same_days = spells((1, "Cook", "1999-12-01", "2000-12-31"), (1, "Clerk", "1999-12-01", "2001-12-31"))
    assert records(same_days)[1] == (1, 2000, "Clerk")
    still_open = spells((1, "Cook", "1999-12-01", None), (1, "Clerk", "1999-12-01", "2001-12-31"))
    assert records(still_open)[1] == (1, 2000, "Cook")
    equal = spells(early, (1, "Clerk", "2000-01-01", "2000-01-10"))
    assert records(equal) == records(equal[::-1]) == [(1, 2000, "Clerk")]


def test_open_spells_last_to_the_last_year() -> None:
    df = spells((1, "Cook", "2000-01-01", None), (2, "Clerk", "2001-03-01", "2001-04-01"))
    assert records(df) == [(1, 2000, "Cook"), (1, 2001, "Cook"), (2, 2001, "Clerk")]
    assert records(df, years=(1999, 2002))[-2:] == [(1, 2002, "Cook"), (2, 2001, "Clerk")]
    assert records(df, years=(1990, 1995)) == []


def test_years_instead_of_dates() -> None:
    df = pd.DataFrame({"id": [1, 1], "job": [10, 20], "start": [2000, 2001], "end": [2001.0, np.nan]})
    # In 2001 both jobs have all days; the later start wins.
    assert records(df, years=(2000, 2002)) == [(1, 2000, 10), (1, 2001, 20), (1, 2002, 20)]


def test_carried_columns_come_from_the_main_job_and_are_missing_in_gaps() -> None:
    df = spells((1, "Cook", "2000-01-01", "2000-12-31", 30), (1, "Clerk", "2002-01-01", "2002-12-31", 40))
    made = from_spells(df, "start", "end", person="id", occupation="job", carry=["hours"], gap="None", time="t")
    assert list(made.columns) == ["id", "t", "job", "hours"]
    assert made["hours"].fillna(-1).tolist() == [30, -1, 40]


@pytest.mark.parametrize(
    ("jobs", "gap"),
    [
        (pd.Categorical(["a", "b"]), "idle"),
        (np.array([10, 20], dtype="int8"), 1001),
        (pd.array([1, 2], dtype="Int64"), 9),
        (np.array(["a", "b"], dtype=object), "idle"),
    ],
)
def test_gaps_in_every_type_of_code(jobs, gap) -> None:
    df = pd.DataFrame({"id": ["x", "x"], "job": jobs, "start": [2000, 2003], "end": [2000, 2003]})
    made = from_spells(df, "start", "end", person="id", occupation="job", gap=gap)
    assert made["job"].tolist() == [jobs[0], gap, gap, jobs[1]]
    assert made["year"].tolist() == [2000, 2001, 2002, 2003]
    assert made["id"].tolist() == ["x"] * 4
    assert len(CareerPanel(made, "id", "year", "job")) == 4


def test_time_zones_and_labels_survive() -> None:
    df = spells((1, 10, "2000-01-01", "2000-12-31"))
    df.attrs["value_labels"] = {"job": {10: "Cook"}}
    zoned = df.assign(start=df["start"].dt.tz_localize("US/Eastern"), end=df["end"].dt.tz_localize("US/Eastern"))
    zoned.attrs = df.attrs
    made = from_spells(zoned, "start", "end", person="id", occupation="job")
    assert CareerPanel(made, "id", "year", "job").choices.titles == ("Cook",)
    assert len(made) == 1


@pytest.mark.parametrize(
    ("titles", "gap", "title"),
    [
        ({10: "Cook"}, 0, "No job"),
        ({10: "Cook", 0: "Idle"}, 0, "Idle"),
        ({10: "Cook", 11: "No job"}, 0, "No job (0)"),
    ],
)
def test_gaps_of_labelled_occupations_have_a_title(titles, gap, title) -> None:
    df = pd.DataFrame({"id": [1, 1], "job": [10, 10], "start": [2000, 2002], "end": [2000, 2002]})
    df.attrs = {"value_labels": {"job": dict(titles), "sex": {1: "male"}}, "variable_labels": {"job": "Main job"}}
    made = from_spells(df, "start", "end", person="id", occupation="job", gap=gap)
    assert made.attrs["value_labels"] == {"job": {**titles, gap: title}, "sex": {1: "male"}}
    assert made.attrs["variable_labels"] == {"job": "Main job"}
    assert df.attrs["value_labels"]["job"] == titles
    panel = CareerPanel(made, "id", "year", "job")
    assert panel.choices.title(gap) == title
    assert len(panel) == 3


def test_no_spells_give_no_records() -> None:
    assert records(spells((1, "Cook", "2000-01-01", "2000-12-31")).iloc[:0]) == []


GOOD = (1, "Cook", "2000-01-01", "2000-12-31", 40.0)


@pytest.mark.parametrize(
    ("df", "message"),
    [
        (spells(GOOD, (1, "Cook", "2000-02-01", "2000-01-01", 40)), r"1 spells end before they start.*rows 1"),
        (spells(GOOD, (1, "Cook", None, "2000-01-01", 40)), r"'start' is missing in 1 spells, first in rows 1"),
        (spells(GOOD, (1, None, "2000-01-01", "2000-01-01", 40)), r"'job' is missing in 1 spells"),
        (spells(GOOD, (1, "Cook", "2000-01-01", "2000-01-01", np.nan)), r"'hours' is missing in 1 spells"),
        (spells(GOOD, (1, "Cook", "2000-01-01", "2000-01-01", -3)), r"1 hours that are negative"),
        (spells(GOOD).assign(hours="x"), "must be numbers"),
        (spells(GOOD, (1, "Cook", "1700-01-01", "2000-01-01", 40)), r"1 spells last more than 100 years.*rows 1"),
        (spells(GOOD).assign(start="2000-01-01"), r"one holds dates and the other does not"),
        (spells(GOOD).assign(start=2000), r"one holds dates and the other does not"),
        (spells(GOOD).assign(start="2000", end="2001"), r"convert it with pd.to_datetime"),
        (spells(GOOD).assign(start=2000.5, end=2001.0), r"1 numbers that are no calendar years: 2000.5"),
    ],
)
def test_data_that_cannot_be_used(df, message) -> None:
    with pytest.raises(DataError, match=message):
        records(df, hours="hours")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"years": (2001, 2000)}, "first and the last year"),
        ({"years": 2000}, "first and the last year"),
        ({"years": (2000.5, 2001)}, "first and the last year"),
        ({"gap": 3}, "which holds text"),
        ({"carry": "hours"}, "give a list"),
        ({"carry": ["job"]}, "two columns 'job'"),
        ({"time": "id"}, "two columns 'id'"),
    ],
)
def test_options_that_are_refused(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        records(spells(GOOD), **options)


def test_absent_columns() -> None:
    with pytest.raises(MissingColumnError, match="Did you mean 'hours'"):
        records(spells(GOOD), hours="hour")


days = st.dates(dt.date(1990, 1, 1), dt.date(1996, 12, 31))
spell = st.tuples(st.integers(1, 3), st.sampled_from("abc"), days, st.integers(0, 900), st.booleans())


@given(st.lists(spell, min_size=1, max_size=12), st.randoms())
@settings(max_examples=80, deadline=None)
def test_records_are_main_jobs(drawn, random) -> None:
    rows = [(i, job, start, None if goes_on else start + dt.timedelta(n)) for i, job, start, n, goes_on in drawn]
    df = spells(*rows)
    made = records(df)
    shuffled = list(range(len(df)))
    random.shuffle(shuffled)
    assert records(df.iloc[shuffled]) == made
    keys = [(i, year) for i, year, _ in made]
    assert keys == sorted(set(keys))

    last_day = dt.date(max(r[3].year if r[3] else r[2].year for r in rows), 12, 31)
    best: dict[tuple[int, int], dict[int, int]] = {}
    for n, (i, _, start, end) in enumerate(rows):
        day = start
        while day <= min(end or last_day, last_day):
            best.setdefault((i, day.year), {}).setdefault(n, 0)
            best[i, day.year][n] += 1
            day += dt.timedelta(1)
    assert set(best) == set(keys)
    for i, year, job in made:
        count = best[i, year]
        assert job in {rows[n][1] for n in count if count[n] == max(count.values())}


def test_many_spells_take_seconds() -> None:
    rng = np.random.default_rng(0)
    start = rng.integers(1980, 2015, 100_000)
    df = pd.DataFrame(
        {
            "id": rng.integers(0, 20_000, 100_000),
            "job": rng.integers(0, 300, 100_000),
            "start": start,
            "end": start + rng.integers(0, 8, 100_000),
            "hours": rng.integers(5, 60, 100_000),
        }
    )
    made = from_spells(df, "start", "end", person="id", occupation="job", hours="hours", gap=999)
    assert not made.duplicated(["id", "year"]).any()
    spans = made.groupby("id")["year"].agg(["min", "max", "count"])
    assert (spans["max"] - spans["min"] + 1 == spans["count"]).all()

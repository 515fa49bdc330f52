"""Prompts: what they hold and never hold, their wording, and how they make room."""

import dataclasses
import inspect
import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from econllm.choices import ChoiceSet
from econllm.encoders import SentenceEncoder
from econllm.errors import DataError, FormulaError, MissingColumnError, OptionError
from econllm.llm.examples import Examples
from econllm.llm.frames import parse_formula
from econllm.llm.prompts import Prompt, PromptTemplate, word_frame, word_panel
from econllm.panel import CareerPanel
from econllm.text import ResumeTemplate
from tests.llm.test_chat import CHATML, GEMMA, INST, make_tokenizer
from tests.llm.test_examples import Letters

TOKENIZERS = {"chatml": make_tokenizer(CHATML), "inst": make_tokenizer(INST), "gemma": make_tokenizer(GEMMA)}


def marked_panel(lengths: list[int]) -> CareerPanel:
    """Careers in which every cell says whose it is, and of which record."""
    rows = [
        {
            "id": f"id{person}",
            "year": 2000 + t,
            "job": f"J{t % 3}",
            "born": f"<born {person}>",
            "place": f"<place {person} {t}>",
            "wage": f"<wage {person} {t}>",
        }
        for person, length in enumerate(lengths)
        for t in range(length)
    ]
    return CareerPanel(
        pd.DataFrame(rows), "id", "year", "job", static=["born"], dynamic=["place"], lagged=["wage"], titles=JOBS
    )


JOBS = ChoiceSet([f"J{t}" for t in range(3)], ["Clerk", "Cook", "Nurse"])


def owners(text: str) -> set[int]:
    return {int(person) for person in re.findall(r"<(?:born|place|wage) (\d+)", text)}


def full_text(wording, row: int) -> str:
    return wording.resumes[row].text + wording.lead


# What prompts hold


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 4), min_size=5, max_size=9),
    seed=st.integers(0, 99),
    count=st.integers(1, 2),
    select=st.sampled_from(["random", "similar"]),
    chat=st.sampled_from([None, "chatml", "inst", "gemma"]),
    resampled=st.booleans(),
    kept=st.sampled_from([None, 1, 2]),
)
def test_no_prompt_holds_the_own_a_test_persons_or_a_future_record(
    lengths, seed, count, select, chat, resampled, kept
) -> None:
    panel = marked_panel(lengths)
    train, test = panel.split([0.6, 0.4], seed=seed)
    if resampled:
        train = train.resample(seed)
    training = {int(origin[2:]) for origin in train.origin_ids}
    if len(training) <= count:
        return
    prompt = Prompt(
        titles=True,
        examples=count,
        select=select,
        instruction="Predict.",
        chat=chat is not None,
        example_records=kept,
        encoder=Letters(),
    )
    examples = Examples.of_panel(train, seed)
    for data in (train, test):
        wording = word_panel(data, prompt, examples, TOKENIZERS.get(chat))
        plain = data.resumes()
        numbers = data.record_numbers
        for row, (resume, origin) in enumerate(zip(wording.resumes, data.origin_ids, strict=True)):
            own = int(origin[2:])
            before, found, after = resume.text.rpartition(plain[row].text)
            assert found
            assert len(owners(before)) == count
            assert owners(before) <= training - {own}
            assert not owners(after)
            # Of the person itself nothing of the record's own job or later.
            assert f"<place {own} {numbers[row] - 1}>" in found
            assert f"<wage {own} {numbers[row] - 1}>" not in resume.text
            assert f"<place {own} {numbers[row]}>" not in resume.text


def test_late_records_see_only_what_others_did_before() -> None:
    train, test = marked_panel([4, 4, 4]).split_time(2001)
    wording = word_panel(test, Prompt(examples=2), Examples.of_panel(train, 0))
    for resume, plain in zip(wording.resumes, test.resumes(), strict=True):
        prompt = resume.text.removesuffix(plain.text)
        assert {int(year) for year in re.findall(r"^(\d{4}) ", prompt, re.MULTILINE)} == {2000, 2001}


def test_without_a_prompt_resumes_are_as_the_panel_writes_them(panel) -> None:
    wording = word_panel(panel, None, None)
    assert wording.resumes == panel.resumes()
    assert (wording.lead, wording.terminator, wording.titles, wording.fewer) == (" ", " [", panel.choices.titles, 0)


@pytest.mark.parametrize("prompt", [None, Prompt(titles=True, instruction="Go."), Prompt(examples=2)])
def test_a_row_with_its_title_begins_the_next(prompt) -> None:
    panel = marked_panel([4, 3, 4, 1])
    wording = word_panel(panel, prompt, Examples.of_panel(panel, 0))
    for row in range(1, len(panel)):
        if panel.person_ids[row] == panel.person_ids[row - 1]:
            title = wording.titles[panel.outcome[row - 1]]
            assert wording.resumes[row].text.startswith(full_text(wording, row - 1) + title + wording.terminator)


def test_the_whole_wording_of_a_plain_prompt() -> None:
    panel = marked_panel([1, 2])
    template = PromptTemplate(
        titles="Titles: {titles}\n", separator=", ", example="A:\n{example}", resume="B:\n{resume}"
    )
    prompt = Prompt(titles=True, examples=1, instruction="Say {what} comes next.", template=template)
    wording = word_panel(panel, prompt, Examples.of_panel(panel, 0))
    assert wording.resumes[0].text == (
        "Say {what} comes next.\n\n"
        "Titles: Clerk, Cook, Nurse\n"
        "A:\nThe career of one person in a longitudinal survey.\nAbout this person: born: <born 1>.\n"
        "2000 (place: <place 1 0>): Clerk [wage: <wage 1 0>]\n2001 (place: <place 1 1>): Cook [wage: <wage 1 1>]\n"
        "End of the career.\n"
        "B:\nThe career of one person in a longitudinal survey.\nAbout this person: born: <born 0>.\n"
        "2000 (place: <place 0 0>):"
    )
    assert wording.resumes[0].records == ("2000 (place: <place 0 0>):",)
    newest = dataclasses.replace(prompt, example_records=1)
    text = word_panel(panel, newest, Examples.of_panel(panel, 0)).resumes[0].text
    assert "<place 1 0>" not in text
    assert "2001 (place: <place 1 1>): Cook [wage: <wage 1 1>]\nEnd of the career.\n" in text


def test_a_conversation_is_what_the_template_writes() -> None:
    panel = marked_panel([2, 1])
    prompt = Prompt(titles=True, examples=1, instruction="Predict.", chat=True)
    examples = Examples.of_panel(panel, 0)
    head = "The career of one person in a longitudinal survey.\nAbout this person: born: <born {}>.\n"
    wording = word_panel(panel, prompt, examples, TOKENIZERS["chatml"])
    question = head.format(0) + "2000 (place: <place 0 0>): Clerk [wage: <wage 0 0>]\n2001 (place: <place 0 1>):"
    assert wording.resumes[1].text == (
        "<|im_start|>system\nPredict.\n\nChoose among:\nClerk\nCook\nNurse<|im_end|>\n"
        f"<|im_start|>user\n{head.format(1)}2000 (place: <place 1 0>):<|im_end|>\n"
        "<|im_start|>assistant\nClerk<|im_end|>\n"
        f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert wording.resumes[1].header.endswith(head.format(0))
    assert wording.resumes[1].records[0] == "2000 (place: <place 0 0>): Clerk [wage: <wage 0 0>]\n"
    assert (wording.lead, wording.terminator) == ("", "<|im_end|>")
    # Without a system role the first question begins with the instruction.
    text = word_panel(panel, prompt, examples, TOKENIZERS["gemma"]).resumes[1].text
    assert text.startswith("<start_of_turn>user\nPredict.\n\nChoose among:\nClerk\nCook\nNurse\n\nThe career of one")
    assert text.endswith(f"<start_of_turn>user\n{question}<end_of_turn>\n<start_of_turn>model\n")
    inside = word_panel(panel, prompt, examples, TOKENIZERS["inst"])
    assert inside.resumes[1].text.startswith("[INST] <<SYS>>\nPredict.\n\nChoose among:")
    assert (inside.lead, inside.terminator) == (" ", " </s>")


def test_the_list_of_titles_is_what_is_printed_for_outcomes(careers, roles) -> None:
    coded = CareerPanel(
        careers, **roles, template=ResumeTemplate(titles="code"), titles={"cook": "A", "clerk": "B", "nurse": "C"}
    )
    wording = word_panel(coded, Prompt(titles=True), None)
    assert wording.titles == ("cook", "clerk", "nurse")
    assert wording.resumes[0].text.startswith("Choose among:\ncook\nclerk\nnurse\n\nThe career")


# Room


def longest(limit: int):
    return lambda resume: len(resume.header) + len(resume.records[-1]) <= limit


@pytest.mark.parametrize("chat", [False, True])
def test_examples_make_room_the_least_similar_first(chat) -> None:
    panel = marked_panel([3, 3, 3, 3])
    prompt = Prompt(examples=2, select="similar", encoder=Letters(), chat=chat)
    examples, tokenizer = Examples.of_panel(panel, 0), TOKENIZERS["chatml"]
    whole = word_panel(panel, prompt, examples, tokenizer)
    assert whole.fewer == 0
    bare = max(len(r.header) + len(r.records[-1]) for r in whole.resumes)
    assert word_panel(panel, prompt, examples, tokenizer, longest(bare)) == whole
    less = word_panel(panel, prompt, examples, tokenizer, longest(bare * 2 // 3))
    assert less.fewer == len(panel)
    for before, after in zip(whole.resumes, less.resumes, strict=True):
        shown = re.findall(r"<born (\d)>", before.text)
        assert re.findall(r"<born (\d)>", after.text) == shown[1:]
        assert after.records == before.records
    none = word_panel(panel, prompt, examples, tokenizer, longest(1))
    assert none.resumes == word_panel(panel, Prompt(chat=chat), None, tokenizer).resumes


def test_a_prompt_that_leaves_no_room_is_refused() -> None:
    panel = marked_panel([3, 3])
    with pytest.raises(OptionError, match="leave out the list of titles"):
        word_panel(panel, Prompt(titles=True), None, fits=longest(20))


def test_rows_of_a_person_make_room_together() -> None:
    panel = marked_panel([3, 3, 3])
    prompt, examples = Prompt(examples=1), Examples.of_panel(panel, 0)
    last = word_panel(panel, prompt, examples).resumes[2].records[-1]
    tight = word_panel(panel, prompt, examples, fits=lambda resume: resume.records[-1] != last)
    assert tight.fewer == 3
    assert len({resume.header for resume in tight.resumes[:3]}) == 1
    assert tight.resumes[3:] == word_panel(panel, prompt, examples).resumes[3:]


def test_every_row_has_the_examples_nearest_to_its_own_history() -> None:
    panel = marked_panel([4, 3, 2, 4, 1, 3])
    train, test = panel.split([0.7, 0.3], seed=1)
    examples, prompt = Examples.of_panel(train, 0), Prompt(examples=1, select="similar", encoder=Letters())
    found = [resume.header for resume in word_panel(test, prompt, examples).resumes]
    chosen = examples.choose(test.origin_ids, test.resumes(), 1, "similar", Letters())
    assert [re.findall(r"<born (\d)>", header)[:-1] for header in found] == [
        re.findall(r"<born (\d)>", row[0].text) for row in chosen
    ]
    changed = (test.person_ids[1:] == test.person_ids[:-1]) & np.array([a != b for a, b in itertools.pairwise(chosen)])
    assert changed.any()


def test_persons_with_the_same_examples_make_room_apart() -> None:
    panel = marked_panel([2, 2, 2])
    test, examples = panel.subset(["id1", "id2"]), Examples.of_panel(panel.subset(["id0"]), 0)
    wording = word_panel(test, Prompt(examples=1), examples, fits=lambda resume: "<born 1>" not in resume.header)
    assert [len(owners(resume.header)) for resume in wording.resumes] == [1, 1, 2, 2]
    assert wording.fewer == 2


def test_rows_of_a_person_share_the_text_of_the_prompt() -> None:
    wording = word_panel(marked_panel([3, 2]), Prompt(titles=True), None)
    assert wording.resumes[0].header is wording.resumes[2].header
    assert wording.resumes[2].header != wording.resumes[3].header


# Data frames

FRAME = pd.DataFrame({"s": ["Up.", "Down.\nA lot.", "Flat."], "y": ["pos", "neg", "pos"]})
LABELS = ChoiceSet(["neg", "pos"])


def test_rows_of_a_data_frame() -> None:
    wording = word_frame(FRAME[["s"]], "y ~ s", LABELS, None, None)
    assert [r.text for r in wording.resumes] == ["Up.\ny:", "Down.\nA lot.\ny:", "Flat.\ny:"]
    assert all(r.header == "" and len(r.records) == 1 for r in wording.resumes)
    assert wording[1:] == (" ", "\n", ("neg", "pos"), 0)
    numbers = word_frame(FRAME, "y ~ s", ChoiceSet([0, 1]), None, None)
    assert numbers.titles == ("0", "1")


def test_prompts_of_a_data_frame() -> None:
    prompt = Prompt(titles=True, examples=2, template=PromptTemplate(example="{example}"))
    wording = word_frame(FRAME, "y ~ s", LABELS, prompt, Examples.of_frame(FRAME, "y ~ s", LABELS, 0))
    assert wording.resumes[0].header in {
        "Choose among:\nneg\npos\n\nDown.\nA lot.\ny: neg\nFlat.\ny: pos\n",
        "Choose among:\nneg\npos\n\nFlat.\ny: pos\nDown.\nA lot.\ny: neg\n",
    }
    assert wording.resumes[0].records == ("Up.\ny:",)
    chat = word_frame(FRAME, "y ~ s", LABELS, Prompt(instruction="Label.", chat=True), None, TOKENIZERS["chatml"])
    assert chat.resumes[2].text == (
        "<|im_start|>system\nLabel.<|im_end|>\n<|im_start|>user\nFlat.\ny:<|im_end|>\n<|im_start|>assistant\n"
    )


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.sampled_from(["m1m up", "m2m down", "m3m flat", "m4m back"]), min_size=4, max_size=12),
    select=st.sampled_from(["random", "similar"]),
)
def test_no_row_of_a_data_frame_gets_its_own_text(texts, select) -> None:
    frame = pd.DataFrame({"s": texts, "y": ["pos", "neg"] * (len(texts) // 2) + ["pos"] * (len(texts) % 2)})
    if len(set(texts)) < 2:
        return
    examples = Examples.of_frame(frame, "y ~ s", LABELS, 0)
    wording = word_frame(frame, "y ~ s", LABELS, Prompt(examples=1, select=select, encoder=Letters()), examples)
    for text, resume in zip(texts, wording.resumes, strict=True):
        assert resume.header
        assert text not in resume.header


def test_formulas() -> None:
    assert parse_formula("y~s") == ("y", "s")
    assert parse_formula("`the label` ~ `the text`") == ("the label", "the text")
    for formula in ("y ~ s + t", "y ~ 1", "y ~ s:t", "y ~ embed(s)", "y ~ s - 1", "y ~ 1 | s[alt]"):
        with pytest.raises(FormulaError, match="must have one column of texts on the right"):
            parse_formula(formula)
    with pytest.raises(FormulaError, match="predicts 'y' from itself"):
        parse_formula("y ~ y")
    with pytest.raises(FormulaError, match="needs one '~'"):
        parse_formula("y s")


# Errors


def test_examples_are_needed(panel) -> None:
    with pytest.raises(DataError, match="asks for examples"):
        word_panel(panel, Prompt(examples=1), None)
    with pytest.raises(DataError, match="only 2 other persons"):
        word_panel(panel, Prompt(examples=3), Examples.of_panel(panel, 0))


def test_a_conversation_needs_a_chat_template(panel) -> None:
    with pytest.raises(OptionError, match="this one has none"):
        word_panel(panel, Prompt(chat=True), None, make_tokenizer())


def test_data_frames_with_faults() -> None:
    with pytest.raises(MissingColumnError, match=r"text column 'S' is not in the data frame. Did you mean 's'"):
        word_frame(FRAME, "y ~ S", LABELS, None, None)
    with pytest.raises(DataError, match="text column 's': 1 of 3 rows have no text"):
        word_frame(FRAME.assign(s=["a", None, "b"]), "y ~ s", LABELS, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"titles": 1}, "titles=1 is not an option"),
        ({"chat": "yes"}, "chat='yes' is not an option"),
        ({"examples": -1}, "examples=-1 is not allowed: give a whole number of at least 0"),
        ({"examples": True}, "examples=True"),
        ({"select": "simlar"}, "Did you mean 'similar'"),
        ({"instruction": " "}, "instruction=' ' is not allowed"),
        ({"template": "{titles}"}, "give PromptTemplate"),
        ({"example_records": 0}, "example_records=0 is not allowed"),
        ({"encoder": None}, "encoder=None is not allowed: give 'minilm' or a SentenceEncoder"),
    ],
)
def test_options_of_prompts(options, message) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        Prompt(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"titles": "Titles:"}, "titles='Titles:' must hold {titles} exactly once"),
        ({"titles": "{titles} {titles}"}, "exactly once"),
        ({"example": "{exmple}"}, "Did you mean 'example'"),
        ({"instruction": "{resume}"}, "instruction has the field {resume}, which nothing fills"),
        ({"resume": "{resume}\n"}, "must end with {resume}"),
        ({"resume": "{resume"}, "cannot be read"),
        ({"separator": ""}, "separator='' is not allowed"),
    ],
)
def test_wordings_that_are_refused(options, message) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        PromptTemplate(**options)


# Data objects


def test_digests_tell_wordings_apart() -> None:
    # A digest is a key of what is saved: it may not change from one version to the next.
    assert PromptTemplate().digest() == "9ad4b4fa9cb572ac433ad993d53cf57adf826f62e305cf3886f7bad3140e9b16"
    changes = {
        "instruction": "{instruction}\n",
        "titles": "{titles}",
        "separator": ", ",
        "example": "{example}",
        "resume": "R {resume}",
    }
    assert set(changes) == {field.name for field in dataclasses.fields(PromptTemplate)}
    digests = {PromptTemplate(**{name: text}).digest() for name, text in changes.items()}
    assert len(digests | {PromptTemplate().digest()}) == 6


def test_a_prompt_prints_as_code_that_rebuilds_it() -> None:
    prompt = Prompt(
        True, np.int64(2), "similar", "Go.", PromptTemplate(separator=", "), encoder=SentenceEncoder(pooling="cls")
    )
    names = {"Prompt": Prompt, "PromptTemplate": PromptTemplate, "SentenceEncoder": SentenceEncoder}
    assert eval(repr(prompt), names) == prompt
    assert hash(eval(repr(prompt), names)) == hash(prompt)
    assert repr(Prompt()) == "Prompt()"
    assert type(prompt.examples) is int
    assert "kwargs" not in str(inspect.signature(Prompt))

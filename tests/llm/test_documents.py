"""Rows as tokens: shared as far as texts begin each other, cut where a title begins, never more than a row may know."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import econllm as el
from econllm.errors import DataError, OptionError
from econllm.llm.documents import Pieces, read_documents, title_trie
from econllm.llm.prompts import Prompt, Wording, word_frame, word_panel
from tests.career.samples import CHOICES, careers, panel, panel_of
from tests.llm.samples import frame, tokenizer

OPENING = np.array([0], dtype=np.int32)
KINDS = ("usual", "joining")


def read(data, kind="usual", limit=10_000, known=True, opening=OPENING, prompt=None):
    wording = word_panel(data, prompt, None)
    trie = title_trie(tokenizer(kind), wording)
    return read_documents(tokenizer(kind), opening, wording, trie, data.outcome if known else None, limit)


def rows(documents):
    """Tokens before the title of every row."""
    found = {}
    for item in documents.items:
        for cut, row in zip(item.cuts, item.rows, strict=True):
            assert row not in found
            found[int(row)] = item.ids[:cut].tolist()
    return [found[row] for row in range(len(found))]


def whole(text, kind="usual"):
    return tokenizer(kind)(text)["input_ids"]


# One document for all transitions of a person


def test_all_rows_of_a_person_share_a_document():
    data = panel()
    documents = read(data)
    assert len(documents.items) == len(data.persons)
    assert [item.rows.tolist() for item in documents.items] == [
        np.flatnonzero(data.person_ids == person).tolist() for person in pd.unique(data.person_ids)
    ]
    assert not documents.truncated.any()
    assert documents.canonical == 1.0


@pytest.mark.parametrize("known", [True, False])
def test_what_a_row_sees_is_its_own_truncated_resume(known):
    data = panel()
    documents = read(data, known=known)
    assert len(documents.items) == (len(data.persons) if known else len(data))
    assert rows(documents) == [whole(resume.text) for resume in data.resumes()]


def test_every_document_ends_with_the_title_of_its_last_row():
    data = panel()
    documents = read(data)
    for item in documents.items:
        for cut, row in zip(item.cuts, item.rows, strict=True):
            title = documents.trie.path(int(data.outcome[row]))
            assert item.ids[cut : cut + len(title)].tolist() == title.tolist()
        assert len(item.ids) == item.cuts[-1] + len(title)
    assert documents.lengths.tolist() == [len(item.ids) for item in documents.items]


def test_a_document_is_the_full_resume_up_to_its_last_title():
    data = panel()
    documents = read(data)
    for item, full in zip(documents.items, data.resumes(full=True), strict=True):
        text = tokenizer().decode(item.ids[1:])
        assert full.startswith(text)
        # What follows the last title are the details of the record, which nobody knows before it.
        assert text.endswith(f" {data.choices.titles[data.outcome[item.rows[-1]]]} [")


def test_titles_begin_with_a_blank_and_end_with_what_follows_them():
    data = panel()
    documents = read(data)
    texts = [tokenizer().decode(documents.trie.path(k)) for k in range(len(data.choices))]
    assert texts == [f" {title} [" for title in data.choices.titles]
    bare = panel_of(careers(), lagged=[])
    texts = [tokenizer().decode(read(bare).trie.path(k)) for k in range(len(bare.choices))]
    assert texts == [f" {title}\n" for title in bare.choices.titles]
    codes = read(bare.with_template(el.ResumeTemplate(titles="code")))
    assert [tokenizer().decode(codes.trie.path(k)) for k in range(5)] == [f" {code}\n" for code in bare.choices.codes]
    assert "Cook" not in tokenizer().decode(np.concatenate([item.ids for item in codes.items]))


def test_special_tokens_stand_at_the_beginning_and_once():
    for opening in (OPENING, np.array([], dtype=np.int32), np.array([1, 0], dtype=np.int32)):
        for item in read(panel(), opening=opening).items:
            assert item.ids[: len(opening)].tolist() == opening.tolist()
            assert not np.isin(item.ids[len(opening) :], [0, 1]).any()


def test_histories_that_are_not_predicted_are_read():
    early, late = panel().split_time(1993)
    documents = read(late)
    assert rows(documents) == [whole(resume.text) for resume in late.resumes()]
    assert (~late.is_first).any()
    # Later rows of a person share the document of the first that is predicted.
    assert len(documents.items) < len(late)
    assert rows(read(early)) == [whole(resume.text) for resume in early.resumes()]


def test_resampled_persons_have_documents_of_their_own():
    drawn = panel().resample(seed=1)
    documents = read(drawn)
    assert rows(documents) == [whole(resume.text) for resume in drawn.resumes()]
    assert len(documents.items) == len(np.unique(drawn.person_ids))
    assert len(np.unique(drawn.origin_ids)) < len(documents.items)


def test_rows_of_a_data_frame_have_documents_of_their_own():
    f = frame()
    f.loc["r1", "sentence"] = f.loc["r0", "sentence"]
    choices = el.ChoiceSet(["bad", "good"])
    wording = word_frame(f, "tone ~ sentence", choices, None, None)
    outcome = choices.positions(f["tone"])
    documents = read_documents(tokenizer(), OPENING, wording, title_trie(tokenizer(), wording), outcome, 256)
    assert len(documents.items) == len(f)
    assert rows(documents) == [whole(f"{text}\ntone:") for text in f["sentence"]]


def test_a_prompt_stands_before_every_person():
    data = panel()
    documents = read(data, prompt=Prompt(instruction="Guess.", titles=True))
    assert len(documents.items) == len(data.persons)
    for item in documents.items:
        assert tokenizer().decode(item.ids[1:]).startswith("Guess.\n\nChoose among:\nCook\n")


# What is too long


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [40, 70, 100, 140])
@pytest.mark.parametrize("known", [True, False])
def test_what_is_too_long_keeps_the_header_and_the_newest_records(kind, limit, known):
    data = panel()
    documents, free = read(data, kind, limit, known), read(data, kind, known=known)
    longest = documents.trie.longest
    assert all(len(item.ids) <= limit for item in documents.items)
    full, found = rows(free), rows(documents)
    cutter = Pieces(tokenizer(kind))
    short = np.zeros(len(data), dtype=bool)
    for row, resume in enumerate(data.resumes()):
        if found[row] == full[row]:
            continue
        short[row] = True
        assert len(full[row]) + longest > limit
        header = cutter.tokens([resume.header], front=True)[resume.header]
        room = limit - 1 - longest
        # The end of the text is kept to the last token, and the header before as far as there is room for it.
        kept = found[row][1:]
        last = len(cutter.tokens(resume.records[-1:])[resume.records[-1]])
        if len(header) + last <= room:
            assert kept[: len(header)] == header.tolist()
            assert full[row][-(len(kept) - len(header)) :] == kept[len(header) :]
            # Whole records: the text goes on at the beginning of a line.
            assert tokenizer(kind).decode(kept[len(header) :]).startswith(("19", "20"))
        else:
            assert len(kept) == room
            assert kept[-min(last, room // 2) :] == full[row][-min(last, room // 2) :]
    assert documents.truncated.tolist() == short.tolist()
    assert short.any()


def test_a_row_that_just_fits_is_not_cut():
    data = panel()
    full = rows(read(data, limit=10_000))
    trie = read(data).trie
    limit = max(map(len, full)) + trie.longest
    assert not read(data, limit=limit).truncated.any()
    cut = read(data, limit=limit - 1).truncated
    assert cut.sum() == sum(len(tokens) == limit - trie.longest for tokens in full)


def test_early_rows_of_a_long_career_still_share_a_document():
    data = panel()
    documents = read(data, limit=120)
    assert documents.truncated.any()
    shared = [item for item in documents.items if len(item.rows) > 1]
    assert shared
    for item in documents.items:
        if documents.truncated[item.rows].any():
            assert len(item.rows) == 1


def test_no_room_for_a_title_is_said_with_the_longest():
    titles = el.ChoiceSet.from_titles(
        {**dict(zip(CHOICES.codes, CHOICES.titles, strict=True)), 60: "Zookeeper of quails"}
    )
    data = panel_of(careers(), titles)
    longest = read(data).trie.longest
    with pytest.raises(
        OptionError, match=rf"reads {longest} tokens, and the title 'Zookeeper of quails' alone takes {longest}"
    ):
        read(data, limit=longest)
    assert read(data, limit=longest + 4).truncated.all()


def test_rows_without_text_need_a_token_in_front():
    wording = Wording([el.Resume("", ("",)), el.Resume("", ("x",))], "", "\n", ("a", "b"))
    trie = title_trie(tokenizer(), wording)
    none = np.array([], dtype=np.int32)
    with pytest.raises(DataError, match=r"1 rows have no text at all, the first at positions 0"):
        read_documents(tokenizer("bare"), none, wording, trie, None, 64)
    found = read_documents(tokenizer(), OPENING, wording, trie, None, 64)
    assert [item.cuts.tolist() for item in found.items] == [[1], [2]]


# Tokens do not reach over cuts


def test_a_tokenizer_that_joins_over_cuts_is_cut_at_pieces():
    data = panel()
    documents = read(data, "joining")
    assert documents.canonical < 1
    for row, (tokens, resume) in enumerate(zip(rows(documents), data.resumes(), strict=True)):
        assert tokenizer("joining").decode(tokens[1:]) == resume.text, row
    # The same title has the same tokens after whatever text.
    assert [tokenizer("joining").decode(documents.trie.path(k)) for k in range(5)] == [
        f" {title} [" for title in data.choices.titles
    ]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=5), st.sampled_from(KINDS))
@settings(deadline=None, max_examples=150)
def test_pieces_say_what_they_are_made_of(pieces, kind):
    pieces = [piece for piece in pieces if "<s>" not in piece and "</s>" not in piece]
    found = Pieces(tokenizer(kind)).tokens(pieces)
    assert set(found) == set(pieces)
    for piece, tokens in found.items():
        assert tokens.dtype == np.int32
        assert tokenizer(kind).decode(tokens) == piece


def test_a_text_without_header_begins_as_the_tokenizer_begins_texts():
    # Some tokenizers put a mark before the first word of a text, and before no other line of it.
    from tokenizers import Tokenizer, models, normalizers

    raw = Tokenizer(models.BPE({"_": 0, **{letter: k for k, letter in enumerate("abc:\n19 ", 1)}}, [], unk_token="_"))
    raw.normalizer = normalizers.Prepend("_")
    from transformers import PreTrainedTokenizerFast

    marking = PreTrainedTokenizerFast(tokenizer_object=raw)
    texts = [el.Resume("", ("a",)), el.Resume("", ("a b\n", "1:")), el.Resume("c\n", ("a",))]
    wording = Wording(texts, " ", "\n", ("a", "b"))
    found = read_documents(marking, np.array([], np.int32), wording, title_trie(marking, wording), None, 64)
    assert found.canonical == 1.0
    assert rows(found) == [marking(resume.text)["input_ids"] for resume in texts]
    assert [marking.decode(tokens).count("_") for tokens in rows(found)] == [1, 1, 1]


def test_a_slow_tokenizer_is_cut_at_pieces_too():
    class Slow:
        is_fast = False

        def __call__(self, texts, **options):
            return tokenizer()(texts, **options)

    data = panel()
    wording = word_panel(data, None, None)
    found = read_documents(Slow(), OPENING, wording, title_trie(Slow(), wording), data.outcome, 10_000)
    assert rows(found) == rows(read(data))

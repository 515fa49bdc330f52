import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from econllm.encoders.tokens import TextTokens, quiet_fork, shorten
from econllm.text.resume import Resume

LENGTHS = st.lists(st.integers(0, 40), max_size=12)


@given(st.integers(0, 60), LENGTHS, st.integers(1, 120))
def test_shorten_keeps_header_and_newest(header, records, budget):
    kept = shorten(header, records, budget)
    used = kept.header + sum(records[kept.first :]) - kept.skip
    assert used <= budget
    if header + sum(records) <= budget:
        assert kept == (header, 0, 0)
        return
    assert kept != (header, 0, 0)
    if not records:
        assert used == budget
    elif header + records[-1] <= budget:
        # whole records only, and as many as fit
        assert (kept.header, kept.skip) == (header, 0)
        assert used + records[kept.first - 1] > budget
    else:
        assert kept.first == len(records) - 1
        assert used == budget
        assert records[-1] - kept.skip >= min(records[-1], (budget + 1) // 2, max(budget - header, 1))


@given(LENGTHS, st.integers(1, 100))
def test_shorten_never_drops_a_newer_record_first(records, budget):
    kept = shorten(5, records, budget)
    assert 0 <= kept.first <= max(len(records) - 1, 0)
    assert 0 <= kept.skip <= (records[-1] if records else 0)


@pytest.fixture(scope="module")
def tokenizer(tiny):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny)


def spelled(tokenizer, pieces):
    return tokenizer.convert_ids_to_tokens(np.concatenate(pieces).tolist())


def test_long_resume_loses_oldest_records(tokenizer):
    resume = Resume("the career :\n", tuple(f"{year} : cook\n" for year in range(1980, 1990)))
    tokens, cut = TextTokens(tokenizer, 20).encode([resume])
    words = spelled(tokenizer, tokens[0])
    assert words[:3] == ["the", "career", ":"]
    assert "".join(words[3:]).replace("##", "") == "1988:cook1989:cook"
    assert cut.tolist() == [True]


def test_plain_text_keeps_its_beginning(tokenizer):
    tokens, cut = TextTokens(tokenizer, 3).encode(["a cook in a career", "a cook"])
    assert spelled(tokenizer, tokens[0]) == ["a", "cook", "in"]
    assert cut.tolist() == [True, False]


@pytest.mark.parametrize("budget", [6, 15, 100])
def test_tokenizer_that_marks_beginnings_is_used_on_whole_texts(budget):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {c: i for i, c in enumerate("\u2581abcdefghijklmnopqrstuvwxyz0123456789:,.\n?")}
    raw = Tokenizer(models.WordPiece(letters | {"##" + c: 100 + i for c, i in letters.items()}, unk_token="?"))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    marking = PreTrainedTokenizerFast(tokenizer_object=raw)
    resume = Resume("a b,", ("c d,", "e f"))
    assert len(marking(resume.text)["input_ids"]) != sum(len(marking(p)["input_ids"]) for p in ("a b,", "c d,", "e f"))
    tokens, cut = TextTokens(marking, budget).encode([resume])
    whole = marking(resume.text, add_special_tokens=False)["input_ids"]
    joined = np.concatenate(tokens[0]).tolist()
    assert len(joined) <= budget
    assert cut[0] == (len(whole) > budget)
    if not cut[0]:
        assert joined == whole
    else:
        assert joined[-1] == whole[-1]


def test_pieces_and_whole_agree_for_word_pieces(tokenizer):
    resume = Resume("the career of a person.\n", ("1980: cook\n", "1981: sales clerk\n", "1982:"))
    joined = np.concatenate(TextTokens(tokenizer, 1000).encode([resume])[0][0])
    assert joined.tolist() == tokenizer(resume.text, add_special_tokens=False)["input_ids"]


def test_threads_of_the_tokenizer_are_left_off(monkeypatch):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    with quiet_fork():
        assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    with quiet_fork():
        assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"

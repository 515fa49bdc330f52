"""The bundled language model: its size, its tokenizer, what it has learnt, and the tool that makes it."""

import json
import sys
import warnings
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import econllm
from econllm.choices import ChoiceSet
from econllm.datasets import load_occ1990dd
from econllm.text.columns import Columns
from econllm.text.template import ResumeTemplate

FOLDER = Path(econllm.__file__).parent / "encoders" / "tiny"
TITLES = tuple(load_occ1990dd()["title"])
TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def network():
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()


@pytest.fixture
def tools(monkeypatch):
    """The folder of the tool, which is no part of the package."""
    if not TOOLS.is_dir():
        pytest.skip("the tools come with the source only")
    monkeypatch.syspath_prepend(str(TOOLS))
    yield TOOLS
    for name in [name for name in sys.modules if name.split(".")[0] in ("tiny", "pretrain_tiny")]:
        del sys.modules[name]


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_it_is_small_and_holds_bfloat16_weights_without_code():
    assert {file.name for file in FOLDER.iterdir()} == {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    weights = FOLDER / "model.safetensors"
    assert weights.stat().st_size <= 4_000_000
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 4_400_000
    head = weights.read_bytes()
    size = int.from_bytes(head[:8], "little")
    entries = json.loads(head[8 : 8 + size])
    assert entries.pop("__metadata__") == {"format": "pt"}
    assert {entry["dtype"] for entry in entries.values()} == {"BF16"}
    assert "lm_head.weight" not in entries
    assert sum(int(np.prod(entry["shape"])) for entry in entries.values()) <= 1_900_000
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["max_position_embeddings"] == 1024
    assert config["tie_word_embeddings"] is True
    assert "auto_map" not in config


def test_it_loads_without_a_warning(caplog, monkeypatch):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    monkeypatch.setattr(logging.get_logger("transformers"), "propagate", True)
    with warnings.catch_warnings(), caplog.at_level("WARNING"):
        warnings.simplefilter("error")
        tokenizer = AutoTokenizer.from_pretrained(FOLDER)
        model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    assert not caplog.records
    assert len(tokenizer) == model.config.vocab_size == model.get_input_embeddings().weight.shape[0]
    assert tokenizer.model_max_length == 1024
    for name in ("bos", "eos", "pad"):
        assert getattr(tokenizer, f"{name}_token_id") == getattr(model.config, f"{name}_token_id")


def test_every_text_begins_with_its_own_token_unless_asked_not_to(tokenizer):
    assert tokenizer("1980: Cooks")["input_ids"] == [tokenizer.bos_token_id, *ids(tokenizer, "1980: Cooks")]
    assert not {tokenizer.bos_token_id, tokenizer.eos_token_id} & set(ids(tokenizer, "1980: Cooks"))
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}) == 3
    assert tokenizer("")["input_ids"] == [tokenizer.bos_token_id]


@given(text=st.text())
@settings(deadline=None)
def test_any_text_comes_back_from_its_tokens(tokenizer, text):
    assert tokenizer.decode(ids(tokenizer, text)) == text


def test_titles_are_single_tokens_together_with_what_ends_them(tokenizer):
    for mark in ("\n", " ["):
        single = [len(ids(tokenizer, f" {title}{mark}")) == 1 for title in TITLES]
        assert np.mean(single) > 0.99
    for state in ("Education", "Not working", "Military occupations", "Retired", "Unemployed"):
        assert len(ids(tokenizer, f" {state}\n")) == len(ids(tokenizer, f" {state} [")) == 1
    years = [len(ids(tokenizer, text)) for year in range(1940, 2031) for text in (f"{year}", f" {year}")]
    assert set(years) == {1}


@given(before=st.text(max_size=30), mark=st.sampled_from([":", "):", "]:"]), title=st.text(min_size=1, max_size=30))
@settings(deadline=None)
def test_tokens_up_to_the_colon_before_a_title_do_not_depend_on_the_title(tokenizer, before, mark, title):
    prefix = ids(tokenizer, before + mark)
    assert ids(tokenizer, f"{before}{mark} {title}")[: len(prefix)] == prefix


@given(
    title=st.sampled_from(TITLES) | st.from_regex(r"[A-Za-z0-9][a-z ,.()0-9-]{0,20}", fullmatch=True), data=st.data()
)
@settings(deadline=None)
def test_what_follows_the_end_of_a_title_does_not_change_its_tokens(tokenizer, title, data):
    mark = data.draw(st.sampled_from(["\n", " [", " ("]))
    after = data.draw(st.text(max_size=20))
    whole = ids(tokenizer, f"1999: {title.strip()}{mark}")
    assert ids(tokenizer, f"1999: {title.strip()}{mark}{after}")[: len(whole)] == whole


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_truncated_careers_of_many_wordings_are_prefixes_token_for_token(tokenizer, simulated, seed):
    blocks, jobs = simulated
    rng = Random(seed)
    block = rng.choice([blocks.occupation_block, blocks.label_block])(rng, jobs, 2)
    mark = block.template.terminator(block.columns)
    prefixes, full = block.prefixes(), [ids(tokenizer, text) for text in block.texts()]
    for first, end, whole in zip(block.starts, [*block.starts[1:], len(prefixes)], full, strict=True):
        for row in range(first, end):
            prefix = ids(tokenizer, prefixes[row])
            assert whole[: len(prefix)] == prefix
            if mark in ("\n", " [", " ("):
                ended = ids(tokenizer, f"{prefixes[row]} {block.choices.titles[block.positions[row]]}{mark}")
                assert whole[: len(ended)] == ended


@pytest.fixture(scope="module")
def simulated():
    if not TOOLS.is_dir():
        pytest.skip("the tools come with the source only")
    sys.path.insert(0, str(TOOLS))
    try:
        from tiny import wordings
        from tiny.corpus import load_jobs
    finally:
        sys.path.remove(str(TOOLS))
    return wordings, load_jobs()


def career(titles, past, columns, template):
    """Text before the record that follows a made-up past."""
    frame = pd.DataFrame(
        {
            "year": range(1990, 1991 + len(past)),
            "sex": "female",
            "region": "South",
            "hours": [2000 + 10 * k for k in range(len(past) + 1)],
        }
    )
    choices = ChoiceSet(range(len(titles)), titles)
    positions = [titles.index(title) for title in (*past, past[-1])]
    return template.render(frame, columns, [0], choices, positions)[-1].text


def log_probabilities(network, tokenizer, prompt, titles, mark):
    """Of each title with its end, after a prompt."""
    import torch

    def forward(tokens):
        with torch.no_grad():
            return network(torch.tensor([tokens])).logits[0].double().log_softmax(1)

    start = tokenizer(prompt)["input_ids"]
    first = forward(start)[-1]
    out = []
    for title in titles:
        ending = ids(tokenizer, f" {title}{mark}")
        # Most titles are one token, and share the forward pass of the prompt.
        later = forward(start + ending)[len(start) :] if len(ending) > 1 else ()
        out.append(float(first[ending[0]]) + sum(float(later[k][token]) for k, token in enumerate(ending[1:])))
    return np.array(out)


@pytest.mark.parametrize("lagged", [(), ("hours",)])
@pytest.mark.parametrize("title", ["Cooks", "Registered nurses", "Carpenters", "Machine operators, n.e.c."])
def test_the_occupation_that_repeats_is_the_most_probable_next(network, tokenizer, title, lagged):
    columns, template = Columns("year", ("sex",), ("region",), lagged), ResumeTemplate()
    prompt = career(TITLES, [title] * 6, columns, template)
    found = log_probabilities(network, tokenizer, prompt, TITLES, template.terminator(columns))
    assert TITLES[int(found.argmax())] == title
    assert 0.5 < np.exp(found).sum() <= 1 + 1e-6


def test_an_occupation_held_before_is_more_probable_than_one_that_was_not(network, tokenizer):
    columns, template = Columns("year", ("sex",)), ResumeTemplate()
    prompt = career(TITLES, ["Bakers"] * 3 + ["Bank tellers"] * 4, columns, template)
    found = dict(zip(TITLES, log_probabilities(network, tokenizer, prompt, TITLES, "\n"), strict=True))
    assert found["Bakers"] > np.median(list(found.values())) + np.log(5)


@pytest.mark.parametrize("labels", [("Group A", "Group B", "Group C"), ("Kolven", "Tarin", "Besto"), ("7", "12", "31")])
def test_labels_never_seen_are_copied(network, tokenizer, labels):
    columns, template = Columns("year", ("sex",)), ResumeTemplate()
    for k, label in enumerate(labels):
        past = [labels[k - 1], *[label] * 6]
        prompt = career(labels, past, columns, template)
        assert int(log_probabilities(network, tokenizer, prompt, labels, "\n").argmax()) == k


def test_the_same_seed_writes_the_same_text(tools):
    from tiny.corpus import documents, load_jobs

    jobs = load_jobs()
    first = documents(5, 80, jobs)
    assert first == documents(5, 80, jobs)
    assert first != documents(6, 80, jobs)
    assert len(set(first)) > 70


def test_every_occupation_has_a_group_and_can_be_drawn(tools):
    from tiny.corpus import load_jobs

    jobs = load_jobs()
    assert jobs.titles == TITLES
    for weights in jobs.tastes.values():
        assert (np.diff(weights, prepend=0.0) > 0).all()


@pytest.mark.slow
def test_the_tool_writes_a_model_that_loads(tools, tmp_path, capsys):
    import pretrain_tiny
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    threads = torch.get_num_threads()
    try:
        figures = pretrain_tiny.main(["--documents", "16", "--output", str(tmp_path / "model"), "--float32"])
    finally:
        torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert model.num_parameters() == figures["parameters"] <= 1_900_000
    assert len(tokenizer) == model.config.vocab_size
    assert figures["single_token_titles"] > 0.99
    assert json.loads(capsys.readouterr().out)["titles"] > 0


@pytest.mark.slow
def test_the_tokenizer_can_be_made_again(tools):
    from tiny.corpus import documents, known_titles, load_jobs
    from tiny.vocabulary import build_tokenizer

    jobs = load_jobs()
    made = json.loads(build_tokenizer(documents(0, 4000, jobs, persons=1), known_titles(jobs)).to_str())
    assert made["model"] == json.loads((FOLDER / "tokenizer.json").read_text(encoding="utf-8"))["model"]

"""All ways of reading titles agree with plain passes of the network, and pruning keeps what it promises."""

import warnings

import numpy as np
import pytest
import torch
import transformers as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import econllm.llm.decoder
import econllm.llm.scoring
from econllm.errors import EconLLMWarning, OptionError
from econllm.llm.decoder import Decoder
from econllm.llm.scoring import Scorer, choose_engine, plain_log_proba
from econllm.llm.trie import Trie
from tests.llm.samples import (
    FAMILIES,
    SIZES,
    SLOW_FAMILIES,
    VOCABULARY,
    WORDS,
    decoder,
    handmade_network,
    network,
    sequences,
    text,
    trie,
)

ENGINES = ("tree", "kv", "naive")
FEW = sequences(12)
# Plain attention has its softmax in single precision whatever the weights are.
PLAIN = 2e-6


def exact(model):
    return 1e-9 if model.network.config._attn_implementation == "sdpa" else PLAIN


def by_hand(decoder, titles, ids, cuts):
    """Log P of every title, one plain pass each, by what transformers calls logits."""
    out = np.zeros((len(cuts), len(titles)))
    for row, cut in enumerate(cuts):
        for k, title in enumerate(titles):
            whole = torch.as_tensor([*ids[:cut], *title])[None]
            with torch.inference_mode():
                if decoder.soft is None:
                    logits = decoder.network(input_ids=whole, use_cache=False).logits[0]
                else:
                    vectors = torch.cat([decoder.soft[None], decoder.network.get_input_embeddings()(whole)], dim=1)
                    logits = decoder.network(inputs_embeds=vectors, use_cache=False).logits[0, decoder.soft_tokens :]
            found = logits.double().log_softmax(dim=-1)
            out[row, k] = sum(float(found[cut - 1 + t, token]) for t, token in enumerate(title))
    return out


@pytest.fixture
def passes(monkeypatch):
    """Small passes, so that the tree is read in several of them."""
    monkeypatch.setattr(econllm.llm.scoring, "_PASS", 5)
    monkeypatch.setattr(econllm.llm.scoring, "_RECTANGLE", 9)


# The example of the slides


def test_the_chain_rule_gives_24_and_36_percent():
    data_scientist, cook = (
        [WORDS.index(word) for word in title] for title in ([" Data", " scientist", "\n"], [" Cook", "\n"])
    )
    titles = Trie.of([data_scientist, cook])
    ids = np.array([WORDS.index(word) for word in ["<s>", "x", "\n", "tone", ":"]])
    for engine in ENGINES:
        raw = Scorer(Decoder(handmade_network()), titles, engine).score(ids, [len(ids)]).raw
        # The normalisation of this network is in single precision.
        assert np.exp(raw) == pytest.approx(np.array([[0.5 * 0.6 * 0.8, 0.4 * 0.9]]), abs=1e-6)


# Every way of reading titles is exact


@pytest.mark.parametrize("family", FAMILIES)
def test_every_engine_is_exact_at_float64(family, passes):
    model, ids, cuts = decoder(family), text(40), [40, 7, 23]
    expected = by_hand(model, FEW, ids, cuts)
    assert np.ptp(expected, axis=1).min() > 1
    for engine in ENGINES:
        found = Scorer(model, Trie.of(FEW), engine).score(ids, cuts)
        assert np.abs(found.raw - expected).max() <= exact(model), engine
        assert found.bound.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_engine_is_exact_at_float32(family):
    single, double, ids, cuts = decoder(family, torch.float32), decoder(family), text(40), [40, 9]
    expected = by_hand(double, FEW, ids, cuts)
    for engine in ENGINES:
        assert np.abs(Scorer(single, Trie.of(FEW), engine).score(ids, cuts).raw - expected).max() <= 1e-4, engine


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "gemma2", "gemma3", "mistral"])
def test_vectors_in_front_of_the_text_are_read_by_every_engine(family, passes):
    model, ids, cuts = decoder(family, soft=3), text(24), [24, 1, 20]
    expected = by_hand(model, FEW, ids, cuts)
    without = by_hand(decoder(family), FEW, ids, cuts)
    assert np.abs(expected - without).max() > 0.1
    for engine in ENGINES:
        assert np.abs(Scorer(model, Trie.of(FEW), engine).score(ids, cuts).raw - expected).max() <= exact(model), engine


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_one_way_of_attention_is_as_right_as_the_other(family):
    # A mask of booleans is silently wrong in plain attention, which adds it to its scores.
    ids, cuts = text(40), [40, 12]
    for attention in ("sdpa", "eager"):
        model = decoder(family)
        model.network.set_attn_implementation(attention)
        assert model.network.config._attn_implementation == attention
        for engine in ENGINES:
            found = Scorer(model, Trie.of(FEW), engine).score(ids, cuts).raw
            assert np.abs(found - by_hand(decoder(family), FEW, ids, cuts)).max() <= exact(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_attention_never_gets_a_mask_of_booleans(family, monkeypatch):
    model, seen = decoder(family), []
    inner = Decoder._masks

    def watched(self, sees, queries, keys):
        found = inner(self, sees, queries, keys)
        seen.extend(found.values() if isinstance(found, dict) else [found])
        return found

    monkeypatch.setattr(Decoder, "_masks", watched)
    Scorer(model, Trie.of(FEW), "tree").score(text(20), [20])
    Scorer(model, Trie.of(FEW), "kv").score(text(20), [20])
    plain = model.network.config._attn_implementation != "sdpa"
    assert seen
    assert {mask.dtype for mask in seen} == {torch.float64 if plain else torch.bool}
    assert {mask.ndim for mask in seen} == {4}


@given(st.integers(0, 1000), st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(1, 60))
@settings(deadline=None, max_examples=15)
def test_any_tree_any_cuts_in_any_order_and_any_size_of_passes(seed, cuts, size):
    titles, ids = trie(25, seed, letters=4, longest=6), text(30, seed)
    before = econllm.llm.scoring._PASS
    econllm.llm.scoring._PASS = size
    try:
        together = Scorer(LLAMA, titles, "tree").score(ids, cuts).raw
    finally:
        econllm.llm.scoring._PASS = before
    alone = np.concatenate([Scorer(LLAMA, titles, "tree").score(ids[:cut], [cut]).raw for cut in cuts])
    assert np.abs(together - alone).max() <= 1e-9
    assert np.abs(together - Scorer(LLAMA, titles, "kv").score(ids, cuts).raw).max() <= 1e-9


LLAMA = decoder("llama")


def test_titles_of_one_token_need_the_text_alone():
    titles, ids = Trie.of([[3], [7], [5]]), text(12)
    expected = by_hand(LLAMA, [[3], [7], [5]], ids, [12, 4])
    for engine in ENGINES:
        found = Scorer(LLAMA, titles, engine).score(ids, [12, 4])
        assert np.abs(found.raw - expected).max() <= 1e-9
        assert found.read == 0


def test_a_title_that_begins_another_has_a_probability_of_its_own():
    titles, ids = [[5, 1], [5, 6, 7, 1]], text(12)
    expected = by_hand(LLAMA, titles, ids, [12])
    assert np.abs(Scorer(LLAMA, Trie.of(titles), "tree").score(ids, [12]).raw - expected).max() <= 1e-9
    # Together they cannot have more than their common beginning.
    assert np.exp(expected).sum() < np.exp(by_hand(LLAMA, [[5]], ids, [12]))[0, 0]


def test_the_mass_of_titles_is_below_one():
    everything = [(a, b, 1) for a in range(2, 14) for b in range(2, 14)] + [(a, 1) for a in range(2, 14)]
    mass = np.exp(Scorer(LLAMA, Trie.of(everything)).score(text(20), [20, 3]).raw).sum(axis=1)
    assert (mass > 0).all()
    assert (mass < 1).all()


def test_titles_that_exhaust_all_tokens_have_mass_one():
    whole = Trie.of([[token] for token in range(VOCABULARY)])
    for engine in ENGINES:
        mass = np.exp(Scorer(LLAMA, whole, engine).score(text(9), [9, 1]).raw).sum(axis=1)
        assert mass == pytest.approx(1, abs=1e-12)


def test_what_follows_the_last_cut_is_not_read():
    one, two = text(40), text(40)
    two[30:] = text(10, seed=5)
    titles = trie(20)
    found = [Scorer(LLAMA, titles, "tree").score(ids, [12, 30]).raw for ids in (one, two)]
    assert np.array_equal(*found)
    two[11] += 1
    assert np.abs(Scorer(LLAMA, titles, "tree").score(two, [12, 30]).raw - found[0]).min(axis=1).max() > 0


def test_every_node_is_read_once_whatever_the_passes(monkeypatch):
    titles = trie(60, longest=6)
    for size in (1, 7, 10_000):
        monkeypatch.setattr(econllm.llm.scoring, "_PASS", size)
        assert Scorer(LLAMA, titles, "tree").score(text(20), [20, 4]).read == 2 * len(titles.inner)


def test_plain_passes_give_the_log_probability_of_every_token():
    ids = text(10)
    with torch.inference_mode():
        found = LLAMA.network(input_ids=torch.as_tensor(ids)[None]).logits[0].log_softmax(dim=-1)
    expected = [float(found[t - 1, ids[t]]) for t in range(6, 10)]
    assert plain_log_proba(LLAMA, ids, 6) == pytest.approx(expected, abs=1e-12)


# Memory


@pytest.mark.parametrize("engine", ["tree", "kv"])
def test_logits_of_all_tokens_exist_for_a_few_nodes_only(engine, monkeypatch):
    titles, ids, cuts = trie(80, letters=30), text(30), [30, 12, 3]
    expected = Scorer(LLAMA, titles, engine).score(ids, cuts).raw
    limit, largest = 5 * VOCABULARY + 17, [0]
    inner = Decoder.logits

    def watched(self, hidden):
        out = inner(self, hidden)
        largest[0] = max(largest[0], out.numel())
        return out

    monkeypatch.setattr(econllm.llm.decoder, "_LOGITS", limit)
    monkeypatch.setattr(Decoder, "logits", watched)
    # The head of the network itself would give logits of everything.
    handle = LLAMA.network.register_forward_hook(lambda *_: pytest.fail("the whole network was called"))
    found = Scorer(LLAMA, titles, engine).score(ids, cuts).raw
    handle.remove()
    assert np.abs(found - expected).max() <= 1e-12
    assert largest[0] == 5 * VOCABULARY <= limit


# Which way is chosen


def chosen(model, wanted="auto", titles=None, texts=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scorer = choose_engine(Scorer(model, titles or trie(20)), texts or [text(5), text(40)], wanted)
    return scorer.engine, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tree_is_taken_where_it_is_right(family):
    assert chosen(decoder(family)) == ("tree", [])
    assert chosen(decoder(family, torch.float32)) == ("tree", [])
    for wanted in ENGINES:
        assert chosen(decoder(family), wanted) == (wanted, [])


@pytest.mark.parametrize("family", SLOW_FAMILIES)
def test_networks_that_cannot_read_a_tree_are_found_out(family):
    model, titles, ids = decoder(family), Trie.of(FEW), text(40)
    engine, said = chosen(model, titles=titles)
    assert engine in ("kv", "naive")
    assert len(said) == 1
    assert "engine='tree' " in said[0]
    assert f"engine={engine!r} is used, which is right, but slower" in said[0]
    assert ("is off by" in said[0]) or ("does not work (" in said[0])
    found = Scorer(model, titles, engine).score(ids, [40, 11]).raw
    assert np.abs(found - by_hand(model, FEW, ids, [40, 11])).max() <= 1e-5
    with pytest.raises(OptionError, match=r"engine='tree' .* for this network: use engine='auto'"):
        choose_engine(Scorer(model, titles), [text(5), ids], "tree")


def test_the_warning_is_one_of_ours_and_says_how_far_off():
    with pytest.warns(EconLLMWarning, match=r"engine='tree' is off by [\d.]+ nats for this network: engine='kv' is"):
        choose_engine(Scorer(decoder("gpt_neo"), trie(20)), [text(5), text(40)], "auto")


@pytest.mark.parametrize("wanted", ["auto", *ENGINES])
def test_a_network_that_does_more_to_its_logits_is_refused(wanted):
    # Plain passes would be right, and the loss of training silently wrong.
    with torch.random.fork_rng():
        config = tf.HyperCLOVAXConfig(**SIZES, logits_scaling=2.0)
        model = Decoder(tf.AutoModelForCausalLM.from_config(config).double().eval())
    with pytest.raises(OptionError, match="networks of type 'hyperclovax' do more to their logits than is known here"):
        choose_engine(Scorer(model, trie(20)), [text(5), text(40)], wanted)


def test_a_window_shorter_than_the_text_is_seen_by_the_long_text_only():
    # What tells a network with windows from one without is a text that is longer than the window.
    model = decoder("mistral")
    model._masks = lambda sees, queries, keys: model._mask(sees)
    assert chosen(model, texts=[text(5)])[0] == "tree"
    engine, said = chosen(model, texts=[text(5), text(40)])
    assert (engine, len(said)) == ("naive", 1)


def test_the_choice_keeps_titles_and_tolerance():
    titles = trie(20)
    for wanted in ("auto", "tree"):
        found = choose_engine(Scorer(LLAMA, titles, tol=0.1), [text(5)], wanted)
        assert found.trie is titles
        assert (found.tol, found.engine) == (0.1, "tree")


def test_two_titles_are_enough():
    assert chosen(LLAMA, titles=Trie.of([[3, 1], [4, 1]])) == ("tree", [])


# Pruning


def normalised(raw):
    return np.exp(raw - np.logaddexp.reduce(raw, axis=1)[:, None])


@given(
    seed=st.integers(0, 50),
    sharp=st.floats(0.2, 6),
    tol=st.floats(1e-4, 0.5),
    longest=st.integers(1, 5),
    letters=st.integers(3, 40),
)
@settings(deadline=None, max_examples=60)
def test_the_bound_of_pruning_is_never_violated(seed, sharp, tol, longest, letters):
    model = sharpened(seed % 3, sharp)
    titles = trie(min(40, letters**longest // 2 + 1), seed, letters=letters, longest=longest)
    ids, cuts = text(25, seed), [25, 6, 14]
    exact = Scorer(model, titles).score(ids, cuts)
    found = Scorer(model, titles, tol=tol).score(ids, cuts)
    p, true = normalised(found.raw), normalised(exact.raw)
    assert np.abs(p.sum(axis=1) - 1).max() <= 1e-12
    assert (found.bound <= tol * (1 + 1e-12)).all()
    assert found.read <= exact.read
    read = np.isclose(found.raw, exact.raw, rtol=0, atol=1e-9)
    slack = 1e-9
    for row, bound in enumerate(found.bound):
        # A title that was left out can agree by chance: its error then is within the bound of those that were read.
        assert (np.abs(p[row, read[row]] / true[row, read[row]] - 1) <= bound + slack).all()
        assert true[row, ~read[row]].sum() <= bound + slack
        assert p[row, ~read[row]].sum() <= bound + slack
        if bound == 0:
            assert read[row].all()


_NETWORKS = [network("llama", seed=seed) for seed in range(3)]


def sharpened(seed, factor):
    """A random network that is surer, or less sure, of what comes next."""
    model = Decoder(_NETWORKS[seed]).eval()
    inner = model.logits
    model.logits = lambda hidden: factor * inner(hidden)
    return model


def test_a_tolerance_of_zero_reads_everything():
    titles = trie(60, letters=30)
    found = Scorer(LLAMA, titles, tol=0.0).score(text(20), [20, 5])
    assert found.read == 2 * len(titles.inner)
    assert found.bound.tolist() == [0.0, 0.0]
    assert np.array_equal(Scorer(LLAMA, titles, tol=0.3).score(text(20), [20, 5], tol=0.0).raw, found.raw)


def test_the_surer_a_network_and_the_larger_the_tolerance_the_less_is_read():
    titles = trie(60, letters=30)
    read = np.array(
        [
            [Scorer(sharpened(0, sharp), titles, tol=tol).score(text(20), [20, 5]).read for tol in (0.1, 1e-2, 1e-4, 0)]
            for sharp in (1, 4, 16)
        ]
    )
    assert (np.diff(read, axis=1) >= 0).all()
    assert (read[:, -1] == 2 * len(titles.inner)).all()
    assert read[2, 0] < read[2, 2] < read[0, 2]
    assert read[2, 0] < 0.8 * read[2, -1]


def test_titles_that_nearly_never_follow_are_no_reason_to_stop():
    # All first tokens are improbable, and what follows them nearly impossible: the bound is relative.
    titles = trie(40, letters=30, longest=5)
    found = Scorer(sharpened(1, 6.0), titles, tol=0.05).score(text(20), [20, 5])
    assert np.isfinite(found.raw).all()
    assert (found.bound <= 0.05).all()

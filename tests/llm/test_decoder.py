"""What a decoder makes of texts: hidden states, memory, logits as the network's own head gives them."""

import numpy as np
import pytest
import torch

import econllm.llm.decoder
from econllm.llm.decoder import Decoder
from tests.llm.samples import FAMILIES, SLOW_FAMILIES, VOCABULARY, decoder, network, text

EVERY = [*FAMILIES, *SLOW_FAMILIES]


def ids_of(rows=3, length=18):
    return torch.as_tensor(np.stack([text(length, seed) for seed in range(rows)]))


@pytest.mark.parametrize("family", EVERY)
def test_logits_are_those_of_the_network(family):
    model, ids = decoder(family), ids_of()
    with torch.inference_mode():
        expected = model.network(input_ids=ids, use_cache=False).logits
        found = model.logits(model(ids))
    # Some heads give single precision whatever the weights are.
    atol = 1e-9 if expected.dtype == torch.float64 else 1e-4
    assert torch.allclose(found.double(), expected.double(), rtol=0, atol=atol)


@pytest.mark.parametrize("family", EVERY)
def test_what_is_padded_on_the_right_changes_nothing(family):
    model, ids = decoder(family), ids_of()
    padded = torch.cat([ids, torch.zeros(3, 7, dtype=torch.int64)], dim=1)
    with torch.inference_mode():
        assert torch.allclose(model(padded)[:, : ids.shape[1]], model(ids), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gemma2"])
def test_learned_vectors_stand_in_front(family):
    model, ids = decoder(family, soft=4), ids_of()
    embeddings = model.network.get_input_embeddings()
    with torch.inference_mode():
        front = torch.cat([model.soft.expand(3, -1, -1), embeddings(ids)], dim=1)
        expected = model.network(inputs_embeds=front, use_cache=False).logits[:, 4:]
        hidden = model(ids)
        assert hidden.shape[:2] == ids.shape
        assert torch.allclose(model.logits(hidden), expected, rtol=0, atol=1e-6)
        read, cache = model.read(ids[0])
        assert torch.allclose(read, hidden[0], rtol=0, atol=1e-6)
        assert {part.shape[2] for pair in cache for part in pair} == {ids.shape[1] + 4}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_in_two_parts_is_the_text(family):
    model, ids = decoder(family), torch.as_tensor(text(40))
    with torch.inference_mode():
        whole = model(ids[None])[0]
        hidden, cache = model.read(ids[:25])
        causal = torch.ones(15, 40, dtype=torch.bool).tril(25)
        rest = model.extend(ids[None, 25:], torch.arange(25, 40)[None], causal, cache, 25)[0]
        # The memory stays as it was, also of layers that see a window only.
        again = model.extend(ids[None, 25:], torch.arange(25, 40)[None], causal, cache, 25)[0]
    assert {part.shape[2] for pair in cache for part in pair} == {25}
    assert torch.allclose(torch.cat([hidden, rest]), whole, rtol=0, atol=1e-5)
    assert torch.equal(rest, again)


def test_the_head_is_in_single_precision_at_least():
    model = decoder("llama", torch.bfloat16)
    with torch.inference_mode():
        hidden = model(ids_of())
        assert hidden.dtype == torch.bfloat16
        logits = model.logits(hidden)
        assert logits.dtype == torch.float32
        weight = model.network.lm_head.weight.float()
        assert torch.equal(logits, torch.nn.functional.linear(hidden.float(), weight))
        found = model.log_proba(hidden[0], torch.tensor([0, 1]), torch.tensor([3, 4]))
    assert found.dtype == torch.float32
    assert decoder("llama").logits(torch.zeros(1, 32, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("limit", [1, VOCABULARY, 3 * VOCABULARY, 10**9])
def test_log_probabilities_of_some_tokens_however_many_at_a_time(limit, monkeypatch):
    model, ids = decoder("llama"), ids_of(2, 9)
    rows = torch.tensor([0, 0, 3, 4, 4, 4, 17])
    tokens = torch.tensor([5, 9, 5, 0, 1, VOCABULARY - 1, 2])
    with torch.inference_mode():
        hidden = model(ids).flatten(0, 1)
        expected = model.logits(hidden).log_softmax(dim=-1)[rows, tokens]
        monkeypatch.setattr(econllm.llm.decoder, "_LOGITS", limit)
        assert torch.allclose(model.log_proba(hidden, rows, tokens), expected, rtol=0, atol=1e-12)
        assert model.log_proba(hidden, rows[:0], tokens[:0]).shape == (0,)


def test_gradients_are_the_same_however_many_logits_there_are_at_a_time(monkeypatch):
    ids, rows, tokens = ids_of(2, 9), torch.arange(18), torch.as_tensor(text(18, seed=4))

    def gradient():
        model = Decoder(network("llama")).train()
        model.log_proba(model(ids).flatten(0, 1), rows, tokens).sum().backward()
        return {name: values.grad for name, values in model.named_parameters()}

    whole = gradient()
    monkeypatch.setattr(econllm.llm.decoder, "_LOGITS", 4 * VOCABULARY)
    parts = gradient()
    assert all(torch.allclose(whole[name], parts[name], rtol=1e-9, atol=1e-12) for name in whole)

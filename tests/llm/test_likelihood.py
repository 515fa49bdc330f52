"""What happened is as probable as the chain rule says, and the loss of training counts exactly what it should."""

import dataclasses

import numpy as np
import pytest
import torch

import econllm.llm.fitting as fitting
from econllm.llm.documents import read_documents, title_trie
from econllm.llm.likelihood import collate, realised, title_ends, token_log_proba
from econllm.llm.prompts import word_panel
from econllm.llm.scoring import Scorer, plain_log_proba
from econllm.training import Training
from tests.career.samples import panel
from tests.llm.samples import VOCABULARY, decoder, tokenizer

OPENING = np.array([0], dtype=np.int32)


def documents_of(data, limit=10_000, known=True):
    wording = word_panel(data, None, None)
    trie = title_trie(tokenizer(), wording)
    return read_documents(tokenizer(), OPENING, wording, trie, data.outcome if known else None, limit)


@pytest.fixture(scope="module")
def data():
    return panel(8)


@pytest.fixture(scope="module")
def model():
    return decoder("llama")


@pytest.fixture(params=[10_000, 90], ids=["whole", "cut"])
def documents(request, data):
    return documents_of(data, request.param)


def by_row(model, data, limit):
    """Log probabilities of the title tokens of every row, one text per row, one plain pass each."""
    one = documents_of(data, limit, known=False)
    found = {}
    for item in one.items:
        title = one.trie.path(int(data.outcome[item.rows[0]]))
        found[int(item.rows[0])] = plain_log_proba(model, np.concatenate([item.ids, title]), len(item.ids))
    return [found[row] for row in range(len(data))]


@pytest.mark.parametrize("batch", [1, 300, 10**6])
@pytest.mark.parametrize("limit", [10_000, 90])
def test_one_pass_for_all_rows_gives_that_of_one_pass_per_row(model, data, batch, limit):
    expected = np.array([tokens.sum() for tokens in by_row(model, data, limit)])
    assert realised(model, documents_of(data, limit), batch) == pytest.approx(expected, abs=1e-9)


def test_it_is_what_the_tree_says_of_the_realised_title(model, data, documents):
    found = realised(model, documents, 1000)
    scorer = Scorer(model, documents.trie)
    for item in documents.items:
        raw = scorer.score(item.ids, item.cuts).raw
        outcome = data.outcome[item.rows]
        assert raw[np.arange(len(outcome)), outcome] == pytest.approx(found[item.rows], abs=1e-9)


def test_exactly_the_tokens_of_titles_count(data, documents):
    titles = title_ends(documents)
    batch = collate(documents.items, titles)
    text = tokenizer()
    flat = batch.ids.flatten().tolist()
    counted = {}
    for place, token, row in zip(batch.before.tolist(), batch.tokens.tolist(), batch.rows.tolist(), strict=True):
        assert flat[place + 1] == token
        counted.setdefault(row, []).append(token)
    assert (np.diff(batch.before.numpy()) > 0).all()
    for row in range(len(data)):
        assert text.decode(counted[row]) == f" {data.choices.titles[data.outcome[row]]} ["
        assert len(counted[row]) == titles[row]


def test_all_tokens_but_the_first_count(documents):
    batch = collate(documents.items, title_ends(documents), "all")
    assert len(batch.tokens) == sum(len(item.ids) - 1 for item in documents.items)
    width, start = batch.ids.shape[1], 0
    for k, item in enumerate(documents.items):
        part = slice(start, start + len(item.ids) - 1)
        assert batch.tokens[part].tolist() == item.ids[1:].tolist()
        assert batch.before[part].tolist() == list(range(k * width, k * width + len(item.ids) - 1))
        assert set(batch.rows[part]) == {item.rows[0]}
        start = part.stop


def test_outcomes_must_be_known(data):
    with pytest.raises(TypeError, match="are not known"):
        title_ends(documents_of(data, known=False))


# The loss as training calls it


class Part:
    """What fitting reads of a sample."""

    def __init__(self, data, documents, weights):
        from econllm.sample import read_sample

        self.sample, self.documents, self.weights = read_sample(data, None, data.choices), documents, weights


def loss_of(model, data, documents, weights, kind, monkeypatch=None):
    part = Part(data, documents, weights)
    units = fitting._units(part)
    return fitting._loss(model, documents, units, weights, kind), units


def weights_of(data):
    return np.random.default_rng(0).integers(0, 5, len(data)) / 2.0


@pytest.mark.parametrize("filled", [100, 10**6])
def test_the_loss_is_the_weighted_sum_over_title_tokens(model, data, documents, filled, monkeypatch):
    monkeypatch.setitem(fitting._FILLED, "cpu", filled)
    weights = weights_of(data)
    loss, units = loss_of(model, data, documents, weights, "titles")
    limit = 10_000 if not documents.truncated.any() else 90
    expected = -sum(w * tokens.sum() for w, tokens in zip(weights, by_row(model, data, limit), strict=True))
    with torch.no_grad():
        assert float(loss(np.arange(len(units)))) == pytest.approx(expected, rel=1e-9)
        # Any division of the persons among updates adds up to the same.
        parts = [float(loss(some)) for some in np.array_split(np.random.default_rng(1).permutation(len(units)), 3)]
    assert sum(parts) == pytest.approx(expected, rel=1e-9)
    amounts = [fitting._amount(documents, unit, weights, "titles") for unit in units]
    assert sum(amounts) == pytest.approx(weights.sum())


@pytest.mark.parametrize("filled", [100, 10**6])
def test_the_loss_on_all_tokens_is_the_weighted_sum_over_them(model, data, documents, filled, monkeypatch):
    monkeypatch.setitem(fitting._FILLED, "cpu", filled)
    weights = np.random.default_rng(0).integers(0, 3, data.persons[-1] + 1)[data.person_ids] / 2.0
    loss, units = loss_of(model, data, documents, weights, "all")
    expected = -sum(weights[item.rows[0]] * plain_log_proba(model, item.ids, 1).sum() for item in documents.items)
    with torch.no_grad():
        assert float(loss(np.arange(len(units)))) == pytest.approx(expected, rel=1e-9)
    amounts = [fitting._amount(documents, unit, weights, "all") for unit in units]
    assert sum(amounts) == sum(weights[item.rows[0]] * (len(item.ids) - 1) for item in documents.items)


def test_units_are_persons_whatever_their_documents(data, documents):
    units = fitting._units(Part(data, documents, np.ones(len(data))))
    assert len(units) == len(data.persons)
    assert np.concatenate(units).tolist() == list(range(len(documents.items)))
    for unit in units:
        rows = np.concatenate([documents.items[k].rows for k in unit])
        assert len(set(data.person_ids[rows])) == 1


def test_the_gradient_is_that_of_one_text_per_row(data, documents):
    weights = weights_of(data)
    together, apart = decoder("gpt_neox"), decoder("gpt_neox")
    loss, units = loss_of(together, data, documents, weights, "titles")
    loss(np.arange(len(units))).backward()
    one = documents_of(data, 10_000 if not documents.truncated.any() else 90, known=False)
    for item in one.items:
        row = int(item.rows[0])
        title = one.trie.path(int(data.outcome[row]))
        ids = torch.as_tensor(np.concatenate([item.ids, title]).astype(np.int64))[None]
        logits = apart.network(input_ids=ids, use_cache=False).logits[0].log_softmax(dim=-1)
        places = torch.arange(len(item.ids) - 1, ids.shape[1] - 1)
        (-weights[row] * logits[places, torch.as_tensor(title)].sum()).backward()
    expected = dict(apart.named_parameters())
    for name, values in together.named_parameters():
        assert torch.allclose(values.grad, expected[name].grad, rtol=1e-9, atol=1e-9), name


def test_weights_of_zero_leave_no_trace(model, data, documents):
    weights = (data.person_ids % 2).astype(float)
    loss, units = loss_of(model, data, documents, weights, "titles")
    odd = [k for k, unit in enumerate(units) if data.person_ids[documents.items[unit[0]].rows[0]] % 2]
    with torch.no_grad():
        assert float(loss(np.arange(len(units)))) == pytest.approx(float(loss(np.array(odd))), rel=1e-9)
    amounts = np.array([fitting._amount(documents, unit, weights, "titles") for unit in units])
    assert np.flatnonzero(amounts).tolist() == odd


def test_no_logits_but_those_that_count(data, monkeypatch):
    model, documents = decoder("llama"), documents_of(data)
    seen, inner = [], type(model).logits

    def watched(self, hidden):
        seen.append(len(hidden))
        return inner(self, hidden)

    monkeypatch.setattr(type(model), "logits", watched)
    batch = collate(documents.items, title_ends(documents))
    with torch.inference_mode():
        token_log_proba(model, batch)
    # Filled up to a multiple of 64, so that kernels are compiled for few shapes.
    assert sum(seen) == -(-len(batch.tokens) // 64) * 64
    assert model.network.get_output_embeddings().weight.shape[0] == VOCABULARY


def test_default_rates_fall_with_size_and_rise_where_little_is_trained():
    from types import SimpleNamespace

    from econllm.llm.tuning import Frozen, LoRA, PromptTuning

    def rate(parameters, tuning="full"):
        one = SimpleNamespace(numel=lambda: parameters)
        network = SimpleNamespace(parameters=lambda: [one])
        return fitting.default_training(tuning, SimpleNamespace(network=network))

    assert rate(1_000_000).learning_rate == rate(2_000_000).learning_rate == 2e-3
    assert rate(135_000_000).learning_rate == 1.6e-4
    assert rate(7_000_000_000).learning_rate == 1.5e-5
    assert rate(135_000_000, LoRA()).learning_rate == pytest.approx(8e-4, rel=0.05)
    assert rate(10, LoRA()).learning_rate == 5e-3
    assert rate(135_000_000, Frozen()).learning_rate == 1.6e-4
    assert rate(7_000_000_000, PromptTuning()).learning_rate == 1e-2
    assert (rate(1_000_000).epochs, rate(135_000_000).epochs) == (10, 3)
    assert dataclasses.replace(rate(10), epochs=1) == Training(epochs=1, batch=16, learning_rate=2e-3, warmup=0.1)

import json
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

import econllm.training.engine
from econllm.errors import DataError, OptionError, TrainingError
from econllm.training import History, Training, seeds, train
from econllm.training.batches import cut_batches

SEED = np.random.SeedSequence(5)


class Task:
    """A small classification, with dropout, that counts how often its loss is asked for."""

    def __init__(self, units=22, dropout=0.2, dtype=torch.float32, weights=None):
        generator = np.random.default_rng(3)
        self.x = torch.as_tensor(generator.normal(size=(units, 3)), dtype=dtype)
        self.y = torch.as_tensor(generator.integers(4, size=units))
        self.weights = np.ones(units) if weights is None else np.asarray(weights, dtype=np.float64)
        self.lengths = generator.integers(1, 9, size=units)
        self.calls, self.stop_at, self.seen = 0, None, []
        torch_state = torch.random.get_rng_state()
        torch.manual_seed(1)
        self.network = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(dropout), nn.Linear(5, 4)).to(dtype)
        torch.random.set_rng_state(torch_state)

    def loss(self, at):
        self.calls += 1
        self.seen.append(at)
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        losses = cross_entropy(self.network(self.x[at]), self.y[at], reduction="none")
        return (losses * torch.as_tensor(self.weights[at], dtype=losses.dtype)).sum()

    @torch.no_grad()
    def score(self):
        return -float(cross_entropy(self.network(self.x), self.y))

    def train(self, options, seed=SEED, score=True, **others):
        how = self.score if score is True else score or None
        return train(self.network, self.loss, self.weights, self.lengths, options, seed, score=how, **others)

    def state(self):
        return {name: t.clone() for name, t in self.network.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def columns(history):
    """What does not depend on the clock."""
    return history.frame.drop(columns="seconds")


class Softmax(Task):
    """Linear softmax regression, which has one maximum."""

    def __init__(self, **others):
        super().__init__(dtype=torch.float64, **others)
        self.network = nn.Linear(3, 4).to(torch.float64)
        with torch.no_grad():
            self.network.weight.zero_()
            self.network.bias.zero_()


# The optimum and the gradient


# At a constant rate, Adam keeps circling the maximum.
@pytest.mark.parametrize(("schedule", "near"), [("constant", 1e-2), ("one_cycle", 1e-5)])
def test_training_reaches_the_maximum_likelihood_of_a_logit(schedule, near):
    import statsmodels.api as sm

    task = Softmax(units=60)
    reference = sm.MNLogit(task.y.numpy(), sm.add_constant(task.x.numpy())).fit(disp=0, method="newton")
    options = Training(epochs=400, batch=60, learning_rate=0.05, schedule=schedule, weight_decay=0.0, clip=None)
    history = task.train(options, score=None)
    theta = torch.cat([task.network.bias[:, None], task.network.weight], dim=1).detach().numpy()
    assert theta[1:] - theta[0] == pytest.approx(reference.params.T, abs=near)
    assert history.frame["loss"].iloc[-1] == pytest.approx(-reference.llf / 60, abs=near**2)


def test_small_batches_come_close_to_the_maximum_likelihood():
    task = Softmax(units=60)
    best = Softmax(units=60)
    best.train(Training(epochs=400, batch=60, learning_rate=0.05, weight_decay=0.0, clip=None), score=None)
    task.train(Training(epochs=60, batch=8, learning_rate=0.05, weight_decay=0.0, clip=None), score=None)
    assert task.score() == pytest.approx(best.score(), abs=1e-3)
    assert task.score() < best.score()


def test_a_weight_of_two_is_a_unit_twice():
    options = Training(epochs=5, batch=64, learning_rate=0.1, clip=None)
    weights = np.tile([1.0, 2.0, 0.5, 0.0], 6)[:22]
    weighted, repeated = Softmax(weights=weights), Softmax()
    counts = np.repeat(np.arange(22), (2 * weights).astype(int))
    repeated.x, repeated.y = repeated.x[counts], repeated.y[counts]
    repeated.weights, repeated.lengths = np.ones(len(counts)), repeated.lengths[counts]
    one, two = weighted.train(options, score=None), repeated.train(options, score=None)
    for name, value in weighted.state().items():
        assert torch.allclose(value, repeated.state()[name], rtol=0, atol=1e-9)
    assert one.frame["loss"].to_numpy() == pytest.approx(two.frame["loss"].to_numpy(), abs=1e-12)


def test_gradients_of_an_epoch_average_to_that_of_the_mean_loss():
    task = Softmax(weights=np.linspace(0.1, 3, 22))
    found = []
    hook = task.network.weight.register_hook(lambda gradient: found.append(gradient.clone()))
    # At this rate the weights stay where they are.
    task.train(Training(epochs=1, batch=5, learning_rate=1e-15, weight_decay=0.0, clip=None), score=None)
    hook.remove()
    task.network.zero_grad()
    (task.loss(np.arange(22)) / task.weights.sum()).backward()
    assert len(found) == 5
    assert torch.allclose(torch.stack(found).mean(0), task.network.weight.grad, atol=1e-9)


def test_accumulated_parts_have_the_gradient_of_the_whole():
    whole, parts = Softmax(), Softmax()
    one = whole.train(Training(epochs=3, batch=8, learning_rate=0.05))
    two = parts.train(Training(epochs=3, batch=8, learning_rate=0.05, accumulate=3))
    assert (whole.calls, parts.calls) == (9, 27)
    for name, value in whole.state().items():
        assert torch.allclose(value, parts.state()[name], rtol=0, atol=1e-9)
    assert columns(one).to_numpy() == pytest.approx(columns(two).to_numpy(), abs=1e-9)


def test_more_parts_than_units_are_no_empty_parts():
    task = Softmax(units=3)
    task.train(Training(epochs=1, batch=2, accumulate=5), score=None)
    assert sorted(len(at) for at in task.seen) == [1, 1, 1]


def test_units_without_weight_are_left_out():
    task = Softmax(weights=[0.0, 1.0] * 11)
    task.train(Training(epochs=2, batch=4))
    assert sorted(np.concatenate(task.seen).tolist()) == sorted([*range(1, 22, 2)] * 2)
    assert all(at.dtype == np.int64 for at in task.seen)


def test_decay_spares_parameters_of_one_dimension():
    network = nn.Linear(2, 2)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    options = Training(epochs=1, batch=9, learning_rate=0.1, schedule="constant", weight_decay=0.5, warmup=0.0)
    flat = lambda at: 0.0 * sum(p.sum() for p in network.parameters())  # noqa: E731
    train(network, flat, np.ones(4), np.ones(4), options, SEED)
    assert torch.allclose(network.weight, before["weight"] * (1 - 0.1 * 0.5))
    assert torch.equal(network.bias, before["bias"])


@pytest.mark.parametrize("clip", [0.01, None])
def test_long_gradients_are_clipped(tmp_path, clip):
    task = Softmax()
    task.train(Training(epochs=1, batch=64, clip=clip, betas=[0.5, 0.9]), checkpoint=tmp_path)
    with safe_open(tmp_path / "training.safetensors", framework="pt") as file:
        moments = [file.get_tensor(f"exp_avg/{name}").flatten() for name in ("weight", "bias")]
    # After one update the running mean of the gradient is half of it.
    norm = 2 * float(torch.cat(moments).norm())
    assert norm == pytest.approx(0.01, rel=1e-4) if clip else norm > 0.05


# Learning rates


def test_learning_rates_at_updates_computed_by_hand():
    def rates(schedule, updates, at, warmup=0.5):
        options = Training(learning_rate=2.0, schedule=schedule, warmup=warmup)
        return [options.rate(u, updates) for u in at]

    # Warm-up over 4 of 8: 2 / 25, then thirds of the way to 2.
    rise = [0.08, 0.08 + 1.92 / 3, 0.08 + 2 * 1.92 / 3, 2.0]
    for schedule in ("one_cycle", "cosine", "inverse_sqrt", "constant"):
        assert rates(schedule, 8, [1, 2, 3, 4]) == pytest.approx(rise, abs=1e-15)
    assert rates("constant", 8, [5, 8]) == [2.0, 2.0]
    assert rates("one_cycle", 8, [6, 8]) == pytest.approx([2.0 * (1 + 1e-4) / 2, 2e-4], abs=1e-15)
    # One third of the way from update 3 to the one after the last, where cos(pi / 3) = 1 / 2.
    assert rates("cosine", 5, [4, 5], warmup=0.6) == pytest.approx([1.5, 0.5], abs=1e-15)
    assert rates("inverse_sqrt", 16, [4, 16], warmup=0.25) == pytest.approx([2.0, 1.0], abs=1e-15)
    assert rates("constant", 3, [1, 2, 3], warmup=0.0) == [2.0, 2.0, 2.0]
    assert rates("one_cycle", 1, [1]) == [2.0]


@given(
    schedule=st.sampled_from(["one_cycle", "cosine", "inverse_sqrt", "constant"]),
    updates=st.integers(1, 60),
    warmup=st.floats(0, 0.999),
)
def test_rates_rise_to_the_peak_and_never_after(schedule, updates, warmup):
    options = Training(learning_rate=1e-3, schedule=schedule, warmup=warmup)
    rates = np.array([options.rate(u, updates) for u in range(1, updates + 1)])
    peak = int(rates.argmax())
    assert rates[peak] == 1e-3
    assert (rates > 0).all()
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) <= 0).all()


def test_the_history_has_the_rate_of_the_last_update_of_each_epoch():
    options = Training(epochs=3, batch=8)
    history = Task().train(options)
    assert history.frame["learning_rate"].tolist() == [options.rate(u, 9) for u in (3, 6, 9)]


# Batches


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=80),
    batch=st.integers(1, 20),
    buckets=st.integers(0, 5),
    number=st.integers(0, 9),
)
def test_every_unit_is_in_one_batch(lengths, batch, buckets, number):
    batches = cut_batches(np.array(lengths), batch, buckets, np.random.default_rng(number))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // batch)
    assert max(len(units) for units in batches) <= batch


def test_buckets_save_padding_and_change_from_epoch_to_epoch():
    lengths = np.random.default_rng(0).integers(1, 40, size=1000)

    def padded(buckets):
        batches = cut_batches(lengths, 20, buckets, np.random.default_rng(1))
        return sum(lengths[units].max() * len(units) for units in batches) / lengths.sum()

    # Means of 20 and largest of 20 lengths near 39, so that half of the places would be padding.
    assert padded(0) > 1.8
    assert padded(16) < 1.15
    first, second = (cut_batches(lengths, 20, 16, np.random.default_rng(e)) for e in (1, 2))
    assert [units.tolist() for units in first] != [units.tolist() for units in second]
    task = Softmax()
    task.train(Training(epochs=2, batch=22, buckets=0))
    assert task.seen[0].tolist() != task.seen[1].tolist()


# Randomness


def test_the_random_numbers_of_the_caller_stay_as_they_were():
    torch.manual_seed(11)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    Task().train(Training(epochs=1, batch=8))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002


def test_the_seed_alone_decides_order_and_dropout():
    runs = []
    for number, seed in ((1, SEED), (2, SEED), (2, np.random.SeedSequence(6))):
        torch.manual_seed(number)
        task = Task()
        history = task.train(Training(epochs=2, batch=8), seed)
        runs.append((task.state(), columns(history), [at.tolist() for at in task.seen]))
    assert same(runs[0][0], runs[1][0])
    assert runs[0][1].equals(runs[1][1])
    assert not same(runs[0][0], runs[2][0])
    assert runs[0][2] != runs[2][2]


def test_dropout_hits_other_places_in_every_update():
    network, seen = nn.Sequential(nn.Linear(1, 64), nn.Dropout(0.5)), []

    def loss(at):
        out = network(torch.ones(1, 1))
        seen.append((out == 0).tolist())
        return out.sum()

    train(network, loss, np.ones(4), np.ones(4), Training(epochs=2, batch=2), SEED)
    assert len(seen) == 4
    assert all(seen[a] != seen[b] for a in range(4) for b in range(a))


def test_parts_of_a_seed_are_independent_of_its_use():
    parts = seeds(SEED)
    assert [part.spawn_key for part in parts] == [(0,), (1,), (2,)]
    assert parts.order.entropy == SEED.entropy
    assert SEED.n_children_spawned == 0


# What is trained and kept


def test_frozen_parameters_stay_and_are_not_saved(tmp_path):
    task = Task()
    task.network[0].weight.requires_grad_(False)
    before = task.state()
    task.train(Training(epochs=2, batch=8), checkpoint=tmp_path)
    assert torch.equal(before["0.weight"], task.state()["0.weight"])
    assert not torch.equal(before["3.weight"], task.state()["3.weight"])
    with safe_open(tmp_path / "training.safetensors", framework="pt") as file:
        assert not [name for name in file.keys() if name.endswith("/0.weight")]  # noqa: SIM118
        assert "best/1.running_mean" in file.keys()  # noqa: SIM118


def scripted(scores):
    values = iter(scores)
    return lambda: next(values)


def test_weights_of_the_best_epoch_are_put_back():
    states, values = [], iter([-3.0, -1.0, -2.0, -1.0])
    task = Task()

    def score():
        states.append(task.state())
        return next(values)

    history = task.train(Training(epochs=4, batch=8), score=score)
    assert history.best_epoch == 2
    assert same(task.state(), states[1])
    assert not history.stopped_early
    assert history.frame["validation"].tolist() == [-3.0, -1.0, -2.0, -1.0]


def test_patience_stops_and_its_epochs_are_not_kept():
    task = Task()
    history = task.train(Training(epochs=9, batch=8, patience=2), score=scripted([-3.0, -1.0, -1.5, -1.0, -0.5]))
    assert len(history.frame) == 4
    assert (history.best_epoch, history.stopped_early) == (2, True)
    assert repr(history) == "<History: 4 of 9 epochs, best 2>"
    with pytest.raises(OptionError, match=r"patience=2 stops by a validation sample"):
        task.train(Training(patience=2), score=None)


def test_a_score_of_minus_infinity_is_the_worst():
    history = Task().train(Training(epochs=3, batch=8), score=scripted([-np.inf, -5.0, -np.inf]))
    assert history.best_epoch == 2


def test_without_validation_the_last_weights_stay():
    task = Task()
    history = task.train(Training(epochs=3, batch=8), score=None)
    assert history.best_epoch == 3
    assert not history.has_validation
    assert history.frame["validation"].isna().all()
    assert history.frame.index.tolist() == [1, 2, 3]
    assert history.frame["seconds"].is_monotonic_increasing


def test_modes_of_the_network():
    task, modes = Task(), []
    loss, score = task.loss, task.score
    task.loss = lambda at: (modes.append(task.network.training), loss(at))[1]

    def look():
        modes.append((task.network.training, torch.is_grad_enabled()))
        return score()

    task.train(Training(epochs=2, batch=22), score=look)
    assert modes == [True, (False, False), True, (False, False)]
    assert not task.network.training
    assert all(p.grad is None for p in task.network.parameters())


def test_half_precision_keeps_the_weights_and_is_for_the_loss():
    task, kinds = Task(), []
    loss = task.loss
    task.loss = lambda at: (kinds.append(task.network(task.x).dtype), loss(at))[1]
    task.train(Training(epochs=1, batch=22), precision=torch.bfloat16)
    assert kinds == [torch.bfloat16]
    assert task.network[0].weight.dtype == torch.float32
    with pytest.raises(OptionError, match="float16 is not for training"):
        task.train(Training(epochs=1), precision=torch.float16)


# Interruption


OPTIONS = Training(epochs=4, batch=6, learning_rate=0.05, accumulate=2)


@pytest.mark.parametrize("stop_at", [1, 4, 9, 12, 15, 25, 32])
@pytest.mark.parametrize("within", [False, True])
def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path, monkeypatch, stop_at, within):
    whole = Task()
    reference = whole.train(OPTIONS)
    if within:
        monkeypatch.setattr(econllm.training.engine, "SECONDS_BETWEEN_SAVES", 0.0)
    first, second = Task(), Task()
    first.stop_at = stop_at
    with pytest.raises(KeyboardInterrupt):
        first.train(OPTIONS, checkpoint=tmp_path)
    torch.manual_seed(stop_at)
    history = second.train(OPTIONS, checkpoint=tmp_path)
    # 22 units in 4 updates of 2 parts each.
    done = stop_at - 1
    assert second.calls == whole.calls - (done // 2 * 2 if within else done // 8 * 8)
    assert same(whole.state(), second.state())
    assert columns(history).equals(columns(reference))
    assert [path.name for path in tmp_path.iterdir()] == ["training.safetensors"]


def test_a_resumed_training_has_the_best_weights_of_before(tmp_path):
    scores = [-3.0, -1.0, -2.0, -2.5]
    whole, first, second = Task(), Task(), Task()
    whole.train(OPTIONS, score=scripted(scores))
    first.stop_at = 28
    with pytest.raises(KeyboardInterrupt):
        first.train(OPTIONS, score=scripted(scores), checkpoint=tmp_path)
    history = second.train(OPTIONS, score=scripted(scores[3:]), checkpoint=tmp_path)
    assert history.best_epoch == 2
    assert same(whole.state(), second.state())


@pytest.mark.parametrize("options", [Training(epochs=2, batch=8), Training(epochs=50, batch=8, patience=1)])
def test_a_finished_training_is_given_back_at_once(tmp_path, options):
    first, second = Task(), Task()
    scores = [-1.0, -2.0]
    one = first.train(options, score=scripted(scores), checkpoint=tmp_path / "new" / "run")
    second.stop_at = 1
    two = second.train(options, score=scripted([]), checkpoint=str(tmp_path / "new" / "run"))
    assert one.frame.equals(two.frame)
    assert same(first.state(), second.state())
    assert not second.network.training


def test_tied_weights_are_saved_and_loaded(tmp_path):
    def tied():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        network[1].weight = network[0].weight
        return network

    networks = tied(), tied()
    for network in networks:
        loss = lambda at, n=network: (n(torch.ones(len(at), 4)) ** 2).sum()  # noqa: E731
        train(network, loss, np.ones(4), np.ones(4), Training(epochs=2, batch=2), SEED, checkpoint=tmp_path)
    assert same(networks[0].state_dict(), networks[1].state_dict())
    assert networks[1][1].weight is networks[1][0].weight


def test_another_training_in_the_folder_is_refused(tmp_path):
    options = Training(epochs=2, batch=8)
    Task().train(options, checkpoint=tmp_path, description={"layers": 2, "sizes": (1, 2)})

    def refused(message, *, task=None, options=options, seed=SEED, description=None, **others):
        description = {"layers": 2, "sizes": [1, 2]} if description is None else description
        with pytest.raises(OptionError, match=message):
            (task or Task()).train(options, seed, checkpoint=tmp_path, description=description, **others)

    refused("another model", description={"layers": 3})
    refused("another seed", seed=np.random.SeedSequence(6))
    refused("another seed", seed=np.random.SeedSequence(5, spawn_key=(1,)))
    refused(
        r"another training \(epochs=2, not 3; with another seed\)",
        options=Training(epochs=3, batch=8),
        seed=seeds(SEED)[0],
    )
    refused("other data or weights", task=Task(weights=np.arange(22)))
    refused("another network", task=Task(dtype=torch.float64))
    refused("without a validation sample", score=None)
    refused("another number type", precision=torch.bfloat16)
    assert len(Task().train(options, checkpoint=tmp_path, description={"layers": 2, "sizes": [1, 2]}).frame) == 2


def test_folders_that_hold_something_else_are_refused(tmp_path):
    task, options = Task(), Training(epochs=1, batch=8)
    (tmp_path / "thesis.txt").write_text("chapter 1")
    for place, message in ((tmp_path / "thesis.txt", "is a file"), (tmp_path, "holds other files")):
        with pytest.raises(OptionError, match=message):
            task.train(options, checkpoint=place)
    (tmp_path / "training.safetensors").write_bytes(b"no tensors")
    with pytest.raises(OptionError, match="is no checkpoint of a training"):
        task.train(options, checkpoint=tmp_path)
    save_file({"x": torch.ones(1)}, tmp_path / "training.safetensors")
    with pytest.raises(OptionError, match="is no checkpoint of a training"):
        task.train(options, checkpoint=tmp_path)
    assert task.calls == 0


def test_the_draft_of_a_killed_run_does_not_matter(tmp_path):
    (tmp_path / ".training.safetensors.0a1b2c3d.tmp").write_bytes(b"half")
    assert len(Task().train(Training(epochs=1, batch=8), checkpoint=tmp_path).frame) == 1


# Errors


def test_numbers_that_are_not_finite_stop_training(tmp_path):
    task = Task()
    loss = task.loss
    task.loss = lambda at: loss(at) * (np.nan if task.calls == 7 else 1.0)
    options = Training(epochs=3, batch=5, learning_rate=0.04, warmup=0.0, schedule="constant", clip=None)
    message = r"the loss is not finite in update 2 of 5 in epoch 2, at learning rate 0.04: .*clip=1.0"
    with pytest.raises(TrainingError, match=message):
        task.train(options, checkpoint=tmp_path)
    assert issubclass(TrainingError, RuntimeError)
    # The checkpoint is that of the first epoch, from which a sound loss goes on.
    rest = Task()
    rest.train(options, checkpoint=tmp_path)
    assert rest.calls == 10
    with pytest.raises(TrainingError, match="validation log-likelihood is not finite in epoch 1"):
        Task().train(options, score=lambda: np.nan)
    # Finite itself, the square root has no finite slope at zero.
    network = nn.Linear(1, 1)
    root = lambda at: torch.sqrt(network.weight.sum() * 0.0)  # noqa: E731
    with pytest.raises(TrainingError, match="the gradient is not finite"):
        train(network, root, np.ones(1), np.ones(1), options, SEED)


def test_data_that_do_not_fit_are_refused():
    task, options = Task(), Training(epochs=1)
    for amounts, lengths, message in (
        (np.ones(22), np.ones(21), r"shape \(22,\) and lengths \(21,\)"),
        (np.zeros(22), np.ones(22), "no rows with weight"),
        (-np.ones(22), np.ones(22), "finite and not negative"),
        (np.full(22, np.nan), np.ones(22), "finite and not negative"),
    ):
        with pytest.raises(DataError, match=message):
            train(task.network, task.loss, amounts, lengths, options, SEED)
    task.network.requires_grad_(False)
    with pytest.raises(OptionError, match="no parameters to train"):
        task.train(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=0 is not allowed: give a whole number of at least 1"),
        ({"batch": 2.5}, "batch=2.5"),
        ({"learning_rate": 0}, "learning_rate=0 is not allowed: give a finite number above 0"),
        ({"schedule": "one-cycle"}, "Did you mean 'one_cycle'"),
        ({"warmup": 1.0}, r"warmup=1.0 is not allowed: give a share of at least 0 and below 1"),
        ({"warmup": -0.1}, "warmup=-0.1"),
        ({"weight_decay": -1}, "weight_decay=-1"),
        ({"betas": 0.9}, "betas=0.9 is not allowed: give two numbers"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\]=1.0"),
        ({"clip": 0}, "clip=0"),
        ({"patience": 0}, "patience=0"),
        ({"accumulate": None}, "accumulate=None"),
        ({"buckets": -1}, "buckets=-1"),
    ],
)
def test_options_that_are_not_allowed_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        Training(**options)


def test_options_survive_json_and_repr():
    import dataclasses

    options = Training(epochs=np.int64(3), betas=(0.8, 0.9), schedule="cosine", clip=None)
    assert repr(options) == "Training(epochs=3, schedule='cosine', betas=(0.8, 0.9), clip=None)"
    assert eval(repr(options)) == options
    again = Training(**json.loads(json.dumps(dataclasses.asdict(options))))
    assert again == options
    assert hash(again) == hash(options)


def test_options_need_no_torch():
    code = "import sys; from econllm.training import Training, train; Training(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_the_history_is_drawn(tmp_path):
    frame = pd.DataFrame(
        {"loss": [1.3, 1.1], "validation": [-1.2, -1.25], "learning_rate": [1e-3, 0.0], "seconds": [1.0, 2.0]},
        index=pd.RangeIndex(1, 3, name="epoch"),
    )
    History(frame, 2).plot(tmp_path / "history.pdf")
    assert (tmp_path / "history.pdf").stat().st_size > 1000
    assert History(frame.assign(validation=np.nan), 2).plot() is not None


@pytest.mark.gpu
def test_a_gpu_trains_with_random_numbers_of_its_own(tmp_path):
    def build():
        task = Task()
        task.network.to("cuda")
        task.x, task.y = task.x.to("cuda"), task.y.to("cuda")
        task.loss = lambda at: cross_entropy(task.network(task.x[at]), task.y[at], reduction="sum")
        return task

    torch.cuda.manual_seed(4)
    before = torch.cuda.get_rng_state()
    one, two = build(), build()
    one.train(OPTIONS, checkpoint=tmp_path, precision=torch.bfloat16)
    torch.cuda.manual_seed(4)
    two.train(OPTIONS, precision=torch.bfloat16)
    assert torch.equal(before, torch.cuda.get_rng_state())
    for name, value in one.state().items():
        assert torch.allclose(value, two.state()[name], rtol=1e-2, atol=1e-2)

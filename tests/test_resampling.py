import numpy as np
import pytest

from econllm.errors import DataError, OptionError
from econllm.options import child_seed
from econllm.resampling import fingerprint, person_weights, run_replications


def draw(seed):
    return np.random.default_rng(seed).normal(size=3)


class FailsAfter:
    """A task that is interrupted, as a run by the end of its time."""

    def __init__(self, calls):
        self.calls, self.done = calls, 0

    def __call__(self, seed):
        if self.done == self.calls:
            raise KeyboardInterrupt
        self.done += 1
        return draw(seed)


def test_exponential_weights_are_positive_with_mean_one():
    weights = person_weights(np.arange(10_000), seed=0)
    assert weights.min() > 0
    assert weights.mean() == pytest.approx(1, abs=1e-12)
    # The variance of a standard exponential is one; its sampling error at this size is about 0.03.
    assert weights.var() == pytest.approx(1, abs=0.12)


def test_multinomial_weights_are_counts_of_draws():
    weights = person_weights(["a", "b", "c", "d"], seed=3, draws="multinomial")
    assert weights.sum() == 4
    assert (weights % 1 == 0).all()
    assert weights.index.tolist() == ["a", "b", "c", "d"]


def test_an_unknown_kind_of_draws_is_refused():
    with pytest.raises(OptionError, match="Did you mean 'exponential'"):
        person_weights([1, 2], 0, draws="exponentiel")


def test_replications_do_not_depend_on_workers_or_their_number():
    alone = run_replications(draw, 5, seed=7)
    assert np.array_equal(alone, run_replications(draw, 5, seed=7, n_jobs=2))
    assert np.array_equal(alone[:3], run_replications(draw, 3, seed=7))
    assert np.array_equal(alone[2], draw(child_seed(np.random.SeedSequence(7), 2)))
    assert not np.array_equal(alone, run_replications(draw, 5, seed=8))


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_replications(FailsAfter(2), 5, seed=7, folder=tmp_path / "run")
    rest = FailsAfter(3)
    assert np.array_equal(run_replications(rest, 5, seed=7, folder=tmp_path / "run"), run_replications(draw, 5, seed=7))
    assert rest.done == 3


def test_a_folder_of_another_run_is_refused(tmp_path):
    run_replications(draw, 2, seed=7, folder=tmp_path / "run", description={"model": "a"})
    for seed, description in ((8, {"model": "a"}), (7, {"model": "b"})):
        with pytest.raises(OptionError, match="other models, data or seed"):
            run_replications(draw, 2, seed=seed, folder=tmp_path / "run", description=description)
    (tmp_path / "mine.txt").write_text("thesis")
    with pytest.raises(OptionError, match="holds other files"):
        run_replications(draw, 2, seed=7, folder=tmp_path)


def test_resuming_needs_a_fixed_seed_and_two_replications(tmp_path):
    with pytest.raises(OptionError, match="fixed seed"):
        run_replications(draw, 2, seed=None, folder=tmp_path / "run")
    with pytest.raises(OptionError, match="replications=1"):
        run_replications(draw, 1, seed=0)


def test_fingerprints_tell_arrays_apart():
    a = fingerprint(np.arange(3), np.array(["x", "y"]))
    assert a == fingerprint(np.arange(3), np.array(["x", "y"]))
    assert a != fingerprint(np.arange(3), np.array(["x", "z"]))
    assert fingerprint(np.arange(3)) != fingerprint(np.arange(3.0))
    with pytest.raises(DataError, match="dict"):
        fingerprint(np.array([{}], dtype=object))

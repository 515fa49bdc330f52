"""Fine-tuning: it learns, it can be interrupted, and every choice of it is what was asked for."""

import numpy as np
import pandas as pd
import pytest
import torch

import econllm as el
import econllm.training.engine
from econllm.errors import DataError, OptionError, TrainingError
from econllm.llm.likelihood import realised
from tests.career.samples import CHOICES, MORE, careers, panel, panel_of, same_weights
from tests.llm.samples import folder, frame

FORMULA = "tone ~ sentence"
QUICK = el.Training(epochs=2, batch=4, learning_rate=0.01)


def llm(**options):
    return el.LLM(folder(), **{"max_tokens": 160, "tuning": "full", "training": QUICK, **options})


def network(fit):
    return fit.predictor.decoder


def same(one, two):
    """Whether two decoders are equal bit for bit."""
    return same_weights(network(one), network(two))


@pytest.fixture(scope="module")
def sharp():
    """A model that has learned ten persons by heart, and their data."""
    data = panel(10)
    training = el.Training(epochs=25, batch=5, learning_rate=0.02, weight_decay=0.0)
    return llm(training=training).fit(data, seed=0), data


def test_it_learns_ten_persons_by_heart(sharp):
    fit, data = sharp
    assert fit.perplexity(data).value < 1.1
    assert np.exp(-fit.info.log_likelihood / len(data)) < 1.1
    assert (fit.predict(data) == data.to_frame()["job"]).mean() > 0.95
    assert fit.title_mass > 0.9
    assert fit.history.frame["loss"].iloc[-1] < 0.3 < fit.history.frame["loss"].iloc[0]


def test_the_log_likelihood_of_the_sample_is_that_of_the_product(sharp):
    fit, data = sharp
    documents = fit._documents(data)
    expected = realised(network(fit), documents, 10**6)
    assert fit.info.log_likelihood == pytest.approx(expected.sum(), abs=1e-3)
    raw = fit.predictor.raw(documents)[0][np.arange(len(data)), data.outcome]
    assert raw == pytest.approx(expected, abs=1e-4)
    assert (expected < fit.log_likelihood(data).to_numpy() + 1e-6).all()


@pytest.mark.parametrize("tol", [1e-3, 0.05, 0.5])
def test_pruned_probabilities_are_within_their_bound(sharp, tol, monkeypatch):
    from econllm.llm.scoring import Scorer

    fit, data = sharp
    documents = fit._documents(data)
    pruned = Scorer(network(fit), fit.predictor.trie, tol=tol)
    exact = Scorer(network(fit), fit.predictor.trie)
    saved = 0
    for item in documents.items:
        some, every = pruned.score(item.ids, item.cuts), exact.score(item.ids, item.cuts)
        p, true = (np.exp(s.raw - np.logaddexp.reduce(s.raw, axis=1)[:, None]) for s in (some, every))
        assert (some.bound <= tol).all()
        read = np.abs(some.raw - every.raw) < 1e-4
        assert (np.abs(p / true - 1) * read).max() <= some.bound.max() + 1e-4
        assert (true * ~read).sum(axis=1).max() <= some.bound.max() + 1e-9
        saved += every.read - some.read
    assert saved > 0
    model = fit.model.replace(tol=tol)
    assert model.tol == tol


@pytest.mark.parametrize(
    "tuning", ["full", el.LoRA(r=2, dropout=0.1), el.Frozen(train_last=1), el.PromptTuning(tokens=3)], ids=repr
)
def test_every_kind_of_tuning_learns_and_counts_what_it_trains(tuning):
    data = panel(6)
    training = el.Training(epochs=6, batch=3, learning_rate=0.01)
    before = el.LLM(folder(), max_tokens=160).fit(data)
    untouched = {name: values.clone() for name, values in network(before).state_dict().items()}
    fit = llm(tuning=tuning, training=training).fit(data, seed=0)
    frame = fit.history.frame
    assert frame["loss"].iloc[-1] < frame["loss"].iloc[0]
    trained = [p.numel() for p in network(fit).parameters() if p.requires_grad]
    assert fit.info.parameters == sum(trained) > 0
    assert not network(fit).training
    # The model off the shelf, which others share, stays.
    again = el.LLM(folder(), max_tokens=160).fit(data)
    assert all(torch.equal(untouched[name], values) for name, values in network(again).state_dict().items())
    assert same(again, before)


def test_seeds_decide():
    data = panel(6)
    one, two, other = (llm().fit(data, seed=seed) for seed in (1, 1, 2))
    assert same(one, two)
    assert np.array_equal(one.log_proba(data), two.log_proba(data))
    assert not same(one, other)
    state = torch.random.get_rng_state()
    llm().fit(data, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_parts_of_an_update_add_up():
    data = panel(8)
    whole, parts = (
        llm(dtype="float64", training=el.Training(epochs=2, batch=4, learning_rate=0.01, accumulate=k)).fit(
            data, seed=0
        )
        for k in (1, 3)
    )
    assert parts.history.frame["loss"].to_numpy() == pytest.approx(whole.history.frame["loss"].to_numpy(), rel=1e-6)
    assert parts.log_proba(data) == pytest.approx(whole.log_proba(data), abs=1e-4)


@pytest.mark.parametrize("loss", ["titles", "all"])
def test_persons_of_weight_zero_are_as_if_absent(loss):
    data, training = panel(6), el.Training(epochs=2, batch=3, learning_rate=0.01, buckets=0)
    kept = data.persons[::2]
    weights = pd.Series(np.isin(data.persons, kept).astype(float), index=data.persons)
    weighted = llm(training=training, loss=loss).fit(data, weights=weights, seed=0)
    alone = llm(training=training, loss=loss).fit(data.subset(kept), seed=0)
    assert weighted.log_proba(data) == pytest.approx(alone.log_proba(data), abs=1e-3)
    assert weighted.info.weighted
    assert not alone.info.weighted
    plain = llm(training=training, loss=loss).fit(data, seed=0)
    assert np.abs(weighted.log_proba(data) - plain.log_proba(data)).max() > 0.01


def test_survey_weights_are_used_where_asked_for():
    df = careers(8)
    data = panel_of(df, weights="weight")
    weights = df.loc[data.index, "weight"]
    asked = llm(weighted=True).fit(data, seed=0)
    given = llm().fit(panel_of(df), weights=weights, seed=0)
    assert np.array_equal(asked.log_proba(data), given.log_proba(data))
    assert not np.array_equal(llm().fit(data, seed=0).log_proba(data), asked.log_proba(data))
    with pytest.raises(OptionError, match="weighted=True needs survey weights"):
        llm(weighted=True).fit(panel(8), seed=0)


def test_the_loss_decides_what_is_learned():
    data = panel(6)
    titles, every = (llm(loss=loss).fit(data, seed=0) for loss in ("titles", "all"))
    assert not same(titles, every)
    assert "per transition" in str(titles)
    assert "per token" in str(every)


def test_the_best_epoch_is_kept_and_patience_ends():
    train, valid = panel(12).split([0.6, 0.4], seed=0)
    training = el.Training(epochs=8, batch=4, learning_rate=0.05, patience=1, schedule="constant", warmup=0.0)
    fit = llm(training=training).fit(train, validation=valid, seed=0)
    scores = fit.history.frame["validation"]
    assert len(scores) < 8
    assert fit.history.best_epoch == scores.idxmax()
    assert realised(network(fit), fit._documents(valid), 4096).mean() == pytest.approx(scores.max(), abs=1e-4)
    with pytest.raises(OptionError, match="patience=1 stops by a validation sample"):
        llm(training=training).fit(train, seed=0)


def test_the_validation_sample_decides_nothing_else():
    train, valid = panel(12).split([0.6, 0.4], seed=0)
    training = el.Training(epochs=3, batch=4, learning_rate=0.003)
    one, other = llm(training=training).fit(train, validation=valid, seed=0), llm(training=training).fit(train, seed=0)
    assert one.history.frame["loss"].equals(other.history.frame["loss"])
    assert one.history.best_epoch in (1, 2, 3)
    if one.history.best_epoch == 3:
        assert same(one, other)


def test_titles_that_never_occur_have_a_probability_all_the_same():
    fit = llm().fit(panel(6, titles=MORE), seed=0)
    assert set(fit.info.unseen) >= {60, 70}
    p = fit.predict_proba(panel(6, titles=MORE))
    assert (p[60] > 0).all()
    assert p.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-12)


def test_a_training_that_diverges_says_so():
    training = el.Training(epochs=3, batch=2, learning_rate=1e30, clip=None, warmup=0.0)
    with pytest.raises(TrainingError, match="learning_rate"):
        llm(training=training).fit(panel(4), seed=0)


def test_labels_of_a_data_frame_are_learned():
    df = frame(48)
    training = el.Training(epochs=12, batch=8, learning_rate=0.01)
    fit = llm(formula=FORMULA, training=training).fit(df[:32], validation=df[32:], seed=0)
    assert (fit.predict(df[32:]) == df["tone"][32:]).mean() > 0.9
    assert fit.info.persons is None
    assert fit.info.rows == 32
    # New texts have no label.
    assert fit.predict_proba(df[32:].drop(columns="tone")).equals(fit.predict_proba(df[32:]))
    weights = pd.Series(np.arange(32.0), index=df.index[:32])
    assert not same(
        llm(formula=FORMULA).fit(df[:32], weights=weights, seed=0), llm(formula=FORMULA).fit(df[:32], seed=0)
    )
    with pytest.raises(DataError, match="weights covers neither"):
        llm(formula=FORMULA).fit(df[:32], weights=weights[:5], seed=0)


def test_the_speed_is_told_of_trained_models_only():
    fit = llm().fit(panel(6), seed=0)
    seconds = fit.history.frame["seconds"].iloc[-1]
    tokens = fit._documents(panel(6)).lengths.sum()
    assert fit.tokens_per_second == pytest.approx(2 * tokens / seconds)
    assert el.LLM(folder(), max_tokens=160).fit(panel(6)).tokens_per_second is None


def test_defaults_of_training_are_reported():
    fit = llm(training=None).fit(panel(3), seed=0)
    assert fit.model.training is None
    assert fit.training == el.Training(epochs=10, batch=16, learning_rate=2e-3, warmup=0.1)


# Interruption


def interrupted(model, data, place, stop_at, monkeypatch, **arguments):
    """A fit that is killed in its `stop_at`-th update."""
    update, calls = econllm.training.engine.Run._update, []

    def killed(self, *arguments):
        calls.append(1)
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        return update(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(econllm.training.engine.Run, "_update", killed)
        patch.setattr(econllm.training.engine, "SECONDS_BETWEEN_SAVES", 0.0)
        with pytest.raises(KeyboardInterrupt):
            model.fit(data, seed=3, checkpoint=place, **arguments)


@pytest.mark.parametrize(
    ("tuning", "stop_at", "validated"),
    [("full", 2, True), ("full", 5, False), (el.LoRA(r=2, dropout=0.3), 4, True), (el.PromptTuning(3), 3, False)],
    ids=repr,
)
def test_a_killed_fit_goes_on_bit_for_bit(tmp_path, monkeypatch, tuning, stop_at, validated):
    train, valid = panel(9).split([0.7, 0.3])
    model = llm(tuning=tuning, training=el.Training(epochs=3, batch=3, learning_rate=0.02))
    arguments = {"validation": valid} if validated else {}
    whole = model.fit(train, seed=3, **arguments)
    interrupted(model, train, tmp_path / "run", stop_at, monkeypatch, **arguments)
    torch.manual_seed(stop_at)
    resumed = model.fit(train, seed=3, checkpoint=tmp_path / "run", **arguments)
    assert same(whole, resumed)
    assert np.array_equal(whole.log_proba(valid), resumed.log_proba(valid))
    columns = ["loss", "validation", "learning_rate"]
    assert resumed.history.frame[columns].equals(whole.history.frame[columns])
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "training.safetensors"]


def test_checkpoints_of_other_runs_are_refused(tmp_path, monkeypatch):
    model, data, place = llm(), panel(6), tmp_path / "run"
    interrupted(model, data, place, 3, monkeypatch)
    weights = pd.Series(np.arange(1.0, 7.0), index=data.persons)
    recoded = panel_of(careers(6).assign(job=lambda d: d["job"].replace({10: 20, 20: 10})), CHOICES)
    other = [
        (model.replace(loss="all"), data, {}, "holds another training"),
        (model.replace(max_tokens=150), data, {}, "holds another training"),
        (model.replace(model=folder(seed=1)), data, {}, "holds another training"),
        (model, recoded, {}, "holds another training"),
        (model, data, {"weights": weights}, "holds another training"),
        (model, data, {"validation": panel(6, seed=2)}, "validation sample"),
        (model.replace(training=el.Training(epochs=3, batch=4, learning_rate=0.01)), data, {}, "epochs=2, not 3"),
    ]
    for changed, sample, arguments, message in other:
        with pytest.raises(OptionError, match=message):
            changed.fit(sample, seed=3, checkpoint=place, **arguments)
    with pytest.raises(OptionError, match="another seed"):
        model.fit(data, seed=4, checkpoint=place)


@pytest.mark.parametrize("tuning", ["full", el.PromptTuning(tokens=3)], ids=repr)
def test_texts_that_fill_the_context_are_not_padded_beyond_it(tuning):
    # Places of this family are learned: there is none after the last.
    fit = el.LLM(folder("gpt2"), tuning=tuning, training=QUICK).fit(panel(12), seed=0)
    assert fit.info.truncated > 0


def test_dropout_acts_in_training_alone():
    data = panel(12)
    plain, dropped = (llm(dropout=share).fit(data, seed=0) for share in (0.0, 0.5))
    assert not same(plain, dropped)
    assert np.array_equal(dropped.log_proba(data), dropped.log_proba(data))
    assert same(dropped, llm(dropout=0.5).fit(data, seed=0))
    with pytest.raises(OptionError, match="dropout= is for fine-tuning"):
        el.LLM("tiny", dropout=0.1)

"""The specification and its estimation: options, seeds, weights, interruption, and the company of other models."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

import econllm as el
import econllm.training.engine
from econllm.career.presets import PRESETS
from econllm.errors import DataError, ModelNotFoundError, OptionError, TrainingError
from tests.career.samples import (
    CHOICES,
    MORE,
    TINY,
    careers,
    encoder,
    fitted,
    panel,
    panel_of,
    same_weights,
)


def network(results):
    return results.predictor.network


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "tny"}, "preset='tny' is not an option.*Did you mean 'tiny'"),
        ({"layers": 0}, "layers=0 is not allowed: give a whole number of at least 1"),
        ({"dim": 2.5}, "dim=2.5"),
        ({"heads": -1}, "heads=-1"),
        ({"ffn": "wide"}, "ffn='wide'"),
        ({"dropout": 1.0}, "dropout=1.0 is not allowed: give a share of at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"dropout": True}, "dropout=True"),
        ({"history_dropout": 1}, "history_dropout=1"),
        ({"history_dropout": "all"}, "history_dropout='all'"),
        ({"two_stage": 1}, "two_stage=1"),
        ({"returns": None}, "returns=None"),
        ({"gap": "yes"}, "gap='yes'"),
        ({"spell": 1}, "spell=1"),
        ({"weighted": "w"}, "weighted='w'"),
        ({"titles": 3}, "titles=3 is not allowed: give 'minilm', an encoder or None"),
        ({"titles": True}, "titles=True"),
        ({"titles": {10: "Cook"}}, "titles is a dict"),
        ({"position": "sinus"}, "position='sinus'.*Did you mean 'sinusoidal'"),
        ({"calendar": "slope"}, "calendar='slope'.*'number'"),
        ({"pseudo_count": 0}, "pseudo_count=0"),
        ({"pseudo_count": float("inf")}, "pseudo_count=inf"),
        ({"dtype": "float16"}, "dtype='float16'"),
        ({"training": 5}, "training=5 is not allowed: give Training"),
        ({"training": {"epochs": 2}}, "training is a dict"),
        ({"covariates": "educ"}, r"covariates='educ' is one text; give a list, \['educ'\]"),
        ({"covariates": 5}, "covariates=5"),
        ({"covariates": pd.DataFrame({"educ": [1]})}, "covariates is a DataFrame"),
        ({"covariates": ["educ", "educ"]}, "covariates names 'educ' twice"),
        ({"freeze": "head"}, r"freeze='head' is one text; give a list, \['head'\]"),
        ({"freeze": 1}, "freeze=1"),
        ({"freeze": None}, "freeze=None"),
        ({"freeze": [1]}, r"freeze=\[1\] keeps parts of start=, and there is none"),
        ({"start": "model"}, "start='model' is not allowed: give a result of CAREER"),
        ({"start": el.CAREER()}, "start is a CAREER"),
        ({"device": 5}, "device=5"),
        ({"device": None}, "device=None"),
    ],
    ids=str,
)
def test_options_that_are_not_allowed_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        el.CAREER(**options)


def test_options_that_only_data_or_machine_refuse():
    with pytest.raises(OptionError, match="heads=3 must divide dim=16"):
        el.CAREER(dim=16, heads=3).fit(panel())
    with pytest.raises(OptionError, match="device='gpu' is not a device"):
        el.CAREER(device="gpu", **TINY).fit(panel())
    with pytest.raises(OptionError, match="patience=2 stops by a validation sample"):
        el.CAREER(**{**TINY, "training": el.Training(epochs=2, patience=2)}).fit(panel())
    with pytest.raises(OptionError, match="weighted=True needs survey weights"):
        el.CAREER(weighted=True, **TINY).fit(panel())


def test_an_encoder_that_does_not_exist(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises((ModelNotFoundError, OptionError), match="minilmm"):
        el.CAREER(titles="minilmm", **TINY).fit(panel())


def test_specifications_are_shown_as_code_and_compared_by_value():
    model = el.CAREER(covariates=["educ"], dropout=np.float64(0.1), layers=np.int64(1), training=el.Training(epochs=2))
    assert repr(model) == "CAREER(layers=1, dropout=0.1, covariates=('educ',), training=Training(epochs=2))"
    assert eval(repr(model), vars(el), {"CAREER": el.CAREER, "Training": el.Training}) == model
    assert model == el.CAREER(covariates=("educ",), dropout=0.1, layers=1, training=el.Training(epochs=2))
    assert model.replace(covariates=None) == el.CAREER(layers=1, dropout=0.1, training=el.Training(epochs=2))
    with pytest.raises(OptionError, match=r"no option 'layer'.*'layers'"):
        model.replace(layer=2)
    assert hash(model) == hash(copy.deepcopy(model))


def test_sizes_are_those_of_the_preset_where_none_are_given():
    assert el.CAREER().sizes(100) == PRESETS["tiny"]
    assert el.CAREER().sizes(20_000) == PRESETS["small"]
    assert el.CAREER(preset="paper").sizes(1).ffn == 768
    sizes = el.CAREER(preset="quick", dim=32, dropout=0.0, training=el.Training(epochs=1)).sizes(1)
    assert (sizes.layers, sizes.dim, sizes.ffn, sizes.dropout, sizes.training.epochs) == (2, 32, 128, 0.0, 1)
    assert el.CAREER(dim=32, ffn=8).sizes(1).ffn == 8
    fit = fitted()
    assert (fit.sizes.layers, fit.sizes.dim, fit.sizes.heads, fit.sizes.ffn) == (1, 16, 2, 64)
    assert fit.chosen == {"preset": "tiny"}
    assert fitted(preset="quick").chosen == {}


def test_data_that_cannot_be_fitted():
    model, data = el.CAREER(**TINY), panel()
    with pytest.raises(DataError, match="CAREER follows careers: give a CareerPanel, not a DataFrame"):
        model.fit(data.to_frame())
    with pytest.raises(DataError, match="give a CareerPanel, not a DataFrame"):
        model.fit(data, validation=data.to_frame())
    with pytest.raises(DataError, match="the data to estimate on have no rows"):
        model.fit(data.subset([]))
    with pytest.raises(DataError, match="the validation sample has no rows"):
        model.fit(data, validation=data.subset([]))
    df = careers()
    with pytest.raises(DataError, match="a single occupation"):
        model.fit(panel_of(df[df["job"] == 10], el.ChoiceSet([10])))
    with pytest.raises(DataError, match="not in the choice set"):
        model.fit(panel_of(df[df["job"] == 10], el.ChoiceSet([10, 11])), validation=data)
    with pytest.raises(DataError, match="weights is a ndarray"):
        model.fit(data, weights=np.ones(len(data)))
    with pytest.raises(OptionError, match="seed"):
        model.fit(data, seed="one")


# What a fit says about itself


def test_the_fit_is_described():
    fit, data = fitted(MORE), panel(titles=MORE)
    i = fit.info
    assert (i.rows, i.persons, i.first_records, i.unseen) == (len(data), 40, 40, (60, 70))
    assert i.log_likelihood == pytest.approx(fit.log_likelihood(data).sum(), rel=1e-6)
    assert i.parameters == sum(p.numel() for p in network(fit).parameters())
    text = str(fit)
    for part in ("CAREER(layers=1", "1, 16, 2, 64", "2 of 2, best 2", "Never seen, probability reserved"):
        assert part in text
    assert "CAREERResults" in repr(fit)
    assert fit.history.frame.shape == (2, 4)


def test_training_raises_the_likelihood():
    training = el.Training(epochs=15, batch=16, learning_rate=0.02)
    more, less = fitted(training=training, dropout=0.0, history_dropout=0), fitted()
    assert more.info.log_likelihood > less.info.log_likelihood + 10
    assert more.history.frame["loss"].is_monotonic_decreasing


def test_ten_persons_are_learned_by_heart():
    data = panel(persons=10, seed=4)
    training = el.Training(epochs=150, batch=10, learning_rate=0.01)
    model = el.CAREER(layers=1, dim=32, heads=2, dropout=0.0, training=training)
    fit = model.fit(data, seed=0)
    assert np.exp(-fit.info.log_likelihood / fit.info.rows) < 1.05


def test_validation_decides_which_weights_are_kept():
    train, valid = panel().split([0.6, 0.4])
    model = el.CAREER(**{**TINY, "training": el.Training(epochs=12, batch=8, learning_rate=0.05)}, dropout=0.0)
    fit = model.fit(train, validation=valid, seed=0)
    frame = fit.history.frame
    best = frame["validation"].max()
    assert fit.log_likelihood(valid).mean() == pytest.approx(best, abs=1e-6)
    assert fit.history.best_epoch == frame["validation"].idxmax() < 12
    patient = model.replace(training=el.Training(epochs=12, batch=8, learning_rate=0.05, patience=1))
    assert len(patient.fit(train, validation=valid, seed=0).history.frame) < 12


def test_survey_weights_weight_the_validation_too():
    data = panel(weights="weight")
    train, valid = data.split([0.6, 0.4])
    fit = el.CAREER(**TINY, weighted=True).fit(train, validation=valid, seed=0)
    expected = np.average(fit.log_likelihood(valid), weights=valid.sampling_weights)
    assert fit.history.frame["validation"].max() == pytest.approx(expected, abs=1e-6)
    assert fit.info.weighted


def test_a_fit_that_leaves_the_numbers_stops():
    training = el.Training(epochs=3, batch=4, learning_rate=1e30, clip=None)
    with pytest.raises(TrainingError, match="not finite"):
        el.CAREER(**{**TINY, "training": training}).fit(panel(), seed=0)


# Seeds, and what stays untouched


def test_the_seed_decides_everything():
    model = el.CAREER(**TINY, history_dropout=0.3, dropout=0.2)
    one, two, other = (model.fit(panel(), seed=seed) for seed in (1, 1, 2))
    assert same_weights(network(one), network(two))
    assert not same_weights(network(one), network(other))
    sequence = model.fit(panel(), seed=np.random.SeedSequence(1))
    assert same_weights(network(one), network(sequence))
    assert not same_weights(network(model.fit(panel())), network(model.fit(panel())))


def test_random_numbers_and_number_types_of_the_caller_stay_as_they_were():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    state, legacy = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fit = el.CAREER(**TINY, history_dropout=0.3).fit(panel(), seed=1)
    fit.log_proba(panel())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_no_device_but_the_own_is_seeded(monkeypatch):
    # torch.manual_seed also seeds every GPU, whose random numbers are the caller's.
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("seeds all devices"))
    el.CAREER(**TINY).fit(panel(), seed=0)


@pytest.mark.parametrize("position", ["learned", "sinusoidal"])
def test_another_default_number_type_does_not_matter(position):
    torch.set_default_dtype(torch.float64)
    try:
        fit = el.CAREER(**TINY, position=position).fit(panel(), seed=0)
        assert network(fit).output.weight.dtype == torch.float32
        assert np.isfinite(fit.log_proba(panel())).all()
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_fit_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    fit = el.CAREER(**TINY, titles=encoder()).fit(panel(), seed=0)
    fit.log_proba(panel())
    assert list(tmp_path.iterdir()) == []


def test_the_panel_is_not_changed():
    data = panel_of(careers())
    before, outcome = data.to_frame(history=True), data.outcome.copy()
    el.CAREER(**TINY).fit(data, seed=0).log_proba(data)
    pd.testing.assert_frame_equal(data.to_frame(history=True), before)
    assert np.array_equal(data.outcome, outcome)


def test_threads_do_not_matter():
    threads, out = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            model = el.CAREER(**{**TINY, "training": el.Training(epochs=1, batch=20)})
            out.append(model.fit(panel(), seed=0).log_proba(panel()))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(out[0], out[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("state", ["float64", "no_grad", "inference_mode"])
def test_what_is_set_for_the_whole_of_torch_does_not_matter(state):
    fit = fitted()
    try:
        if state == "float64":
            torch.set_default_dtype(torch.float64)
            again = el.CAREER(**TINY).fit(panel(), seed=0)
            assert torch.get_default_dtype() == torch.float64
        else:
            with getattr(torch, state)():
                again = el.CAREER(**TINY).fit(panel(), seed=0)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same_weights(network(again), network(fit))


def test_a_long_career_does_not_fill_up_the_others(monkeypatch):
    import econllm.career.fitting as fitting

    read = []
    original = fitting.negative_log_likelihood

    def watched(net, batch, *others):
        read.append(batch.last.numel())
        return original(net, batch, *others)

    monkeypatch.setattr(fitting, "negative_log_likelihood", watched)
    monkeypatch.setattr(fitting, "_FILLED", 150)
    long = pd.DataFrame({"id": 99, "year": np.arange(1900, 2000), "job": 10})
    short = pd.DataFrame({"id": np.repeat(np.arange(19), 2), "year": np.tile([1990, 1991], 19), "job": 20})
    data = el.CareerPanel(pd.concat([long, short], ignore_index=True), "id", "year", "job", titles=CHOICES)
    training = el.Training(epochs=1, batch=20)
    options = {**TINY, "training": training, "dropout": 0.0, "history_dropout": 0}
    apart = el.CAREER(**options).fit(data, seed=0)
    assert read == [38, 100]
    monkeypatch.setattr(fitting, "_FILLED", 10_000)
    together = el.CAREER(**options).fit(data, seed=0)
    assert read[2:] == [2000]
    assert apart.history.frame["loss"].iloc[0] == pytest.approx(together.history.frame["loss"].iloc[0], rel=1e-5)


@pytest.mark.parametrize("held", [True, False])
def test_a_last_update_that_diverges_is_said(held):
    training = el.Training(epochs=1, batch=1000, learning_rate=1e30)
    model = el.CAREER(**{**TINY, "training": training})
    with pytest.raises(TrainingError, match=r"not finite.*give a lower learning_rate than 1e\+30"):
        model.fit(panel(), validation=panel(seed=1) if held else None, seed=0)


def test_titles_without_letters_are_refused():
    data = panel_of(careers(), titles=el.ChoiceSet(list(CHOICES.codes)))
    with pytest.raises(DataError, match="none of these 5 has a letter, first '10': give titles= to CareerPanel"):
        el.CAREER(titles=encoder(), **TINY).fit(data, seed=0)


# Weights

WHOLE = {
    **TINY,
    "dropout": 0.0,
    "history_dropout": 0,
    "training": el.Training(epochs=8, batch=1000, learning_rate=0.01, buckets=0),
}


def twice(df, persons):
    """The records, those of some persons again under another name."""
    copies = df[df["id"].isin(persons)].assign(id=lambda d: d["id"] + 1000)
    return pd.concat([df, copies], ignore_index=True)


@pytest.mark.parametrize("two_stage", [True, False])
def test_a_weight_of_two_is_the_person_twice(two_stage):
    df = careers().reset_index(drop=True)
    persons = [1, 2, 3, 5, 8]
    weights = pd.Series(1.0, index=range(40))
    weights[persons] = 2.0
    model = el.CAREER(**WHOLE, two_stage=two_stage)
    data = panel_of(df)
    weighted = model.fit(data, weights=weights, seed=0)
    repeated = model.fit(panel_of(twice(df, persons)), seed=0)
    np.testing.assert_allclose(weighted.log_proba(data), repeated.log_proba(data), rtol=0, atol=2e-4)
    assert np.abs(weighted.log_proba(data) - model.fit(data, seed=0).log_proba(data)).max() > 2e-3


def test_persons_without_weight_change_nothing():
    df = careers().reset_index(drop=True)
    extra = careers(persons=15, seed=9).assign(id=lambda d: d["id"] + 1000, year=lambda d: d["year"] + 20, educ=50.0)
    both = panel_of(pd.concat([df, extra], ignore_index=True), MORE)
    weights = pd.Series(1.0, index=both.persons)
    weights[weights.index >= 1000] = 0.0
    model = el.CAREER(**TINY)
    data = panel_of(df, MORE)
    without, ignored = model.fit(data, seed=0), model.fit(both, weights=weights, seed=0)
    assert ignored.predictor.coding.times == without.predictor.coding.times
    for one, two in zip(ignored.predictor.coding.numbers, without.predictor.coding.numbers, strict=True):
        assert (one.mean, one.scale) == pytest.approx((two.mean, two.scale), rel=1e-12)
    assert ignored.predictor.unseen.reserve == without.predictor.unseen.reserve
    assert ignored.info.unseen == without.info.unseen
    np.testing.assert_allclose(ignored.log_proba(data), without.log_proba(data), rtol=0, atol=1e-5)


def test_occupations_of_persons_without_weight_were_never_seen():
    df = careers().reset_index(drop=True)
    holders = df.loc[df["job"] == 50, "id"].unique()
    weights = pd.Series(1.0, index=range(40))
    weights[holders] = 0.0
    fit = el.CAREER(**TINY).fit(panel_of(df), weights=weights, seed=0)
    assert fit.info.unseen == (50,)
    assert np.isfinite(fit.info.log_likelihood)


def test_the_scale_of_weights_does_not_matter():
    model, data = el.CAREER(**TINY), panel()
    g = np.random.default_rng(1)
    weights = pd.Series(g.exponential(size=40), index=range(40))
    one, two = (model.fit(data, weights=scale * weights, seed=0) for scale in (1.0, 64.0))
    np.testing.assert_allclose(one.log_proba(data), two.log_proba(data), rtol=0, atol=1e-6)
    survey = panel_of(careers().assign(weight=lambda d: d["id"].map(weights)), weights="weight")
    three = model.replace(weighted=True).fit(survey, seed=0)
    np.testing.assert_allclose(one.log_proba(data), three.log_proba(data), rtol=0, atol=1e-6)


# Interruption


def interrupted(model, data, folder, stop_at, monkeypatch, **arguments):
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
            model.fit(data, seed=3, checkpoint=folder, **arguments)


@pytest.mark.parametrize("stop_at", [1, 2, 4, 7, 9])
@pytest.mark.parametrize("validated", [True, False])
def test_a_killed_fit_goes_on_bit_for_bit(tmp_path, monkeypatch, stop_at, validated):
    train, valid = panel(titles=MORE).split([0.7, 0.3])
    training = el.Training(epochs=3, batch=10, learning_rate=0.02)
    model = el.CAREER(**{**TINY, "training": training}, titles=encoder(), history_dropout=0.5, dropout=0.2)
    arguments = {"validation": valid} if validated else {}
    whole = model.fit(train, seed=3, **arguments)
    interrupted(model, train, tmp_path / "run", stop_at, monkeypatch, **arguments)
    torch.manual_seed(stop_at)
    resumed = model.fit(train, seed=3, checkpoint=tmp_path / "run", **arguments)
    assert same_weights(network(whole), network(resumed))
    assert np.array_equal(whole.log_proba(valid), resumed.log_proba(valid))
    columns = ["loss", "validation", "learning_rate"]
    assert resumed.history.frame[columns].equals(whole.history.frame[columns])
    again = model.fit(train, seed=3, checkpoint=tmp_path / "run", **arguments)
    assert same_weights(network(whole), network(again))
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "training.safetensors"]


def test_a_killed_fine_tuning_goes_on_bit_for_bit(tmp_path, monkeypatch):
    training = el.Training(epochs=3, batch=10, learning_rate=0.02)
    model = el.CAREER(start=fitted(), training=training, freeze=[1])
    whole = model.fit(panel(seed=1), seed=3)
    interrupted(model, panel(seed=1), tmp_path / "run", 7, monkeypatch)
    resumed = model.fit(panel(seed=1), seed=3, checkpoint=tmp_path / "run")
    assert same_weights(network(whole), network(resumed))


def test_checkpoints_of_other_runs_are_refused(tmp_path, monkeypatch):
    model, data, folder = el.CAREER(**TINY), panel(), tmp_path / "run"
    interrupted(model, data, folder, 4, monkeypatch)
    other = [
        (model.replace(returns=False), data, {}, "holds another training"),
        (model.replace(history_dropout=0.1), data, {}, "another model"),
        (model.replace(titles=encoder()), data, {}, "holds another training"),
        (model, panel(seed=1), {}, "holds another training"),
        (model, data, {"weights": pd.Series(np.arange(1.0, 41.0), index=range(40))}, "holds another training"),
        (model, data, {"validation": panel(seed=2)}, "validation sample"),
        (model.replace(training=el.Training(epochs=3)), data, {}, "epochs=2, not 3"),
    ]
    for changed, sample, arguments, message in other:
        with pytest.raises(OptionError, match=message):
            changed.fit(sample, seed=3, checkpoint=folder, **arguments)
    with pytest.raises(OptionError, match="another seed"):
        model.fit(data, seed=4, checkpoint=folder)
    with pytest.raises(OptionError, match="needs a fixed seed: give seed=0"):
        model.fit(data, checkpoint=folder)


def test_a_checkpoint_knows_what_training_started_from(tmp_path, monkeypatch):
    training = el.Training(epochs=3, batch=10)
    one, two = (el.CAREER(**TINY).fit(panel(), seed=seed) for seed in (1, 2))
    interrupted(el.CAREER(start=one, training=training, freeze=[1]), panel(), tmp_path / "a", 4, monkeypatch)
    with pytest.raises(OptionError, match="another model"):
        el.CAREER(start=two, training=training, freeze=[1]).fit(panel(), seed=3, checkpoint=tmp_path / "a")
    # Titles decide what a network with titles computes.
    model = el.CAREER(**TINY, titles=encoder())
    renamed = el.ChoiceSet(CHOICES.codes, [title + " of old" for title in CHOICES.titles])
    interrupted(model, panel(), tmp_path / "b", 4, monkeypatch)
    with pytest.raises(OptionError, match="another model"):
        model.fit(panel(titles=renamed), seed=3, checkpoint=tmp_path / "b")


# Beside other models


def test_results_are_copied_and_pickled():
    fit = fitted(titles=encoder())
    for twin in (copy.copy(fit), copy.deepcopy(fit), pickle.loads(pickle.dumps(fit))):
        assert np.array_equal(twin.log_proba(panel()), fit.log_proba(panel()))
        assert twin.info == fit.info
    assert pickle.loads(pickle.dumps(fit.model)) == fit.model


def test_it_is_compared_with_the_other_models():
    train, test = panel().split([0.6, 0.4])
    fits = {
        "counts": el.Empirical().fit(train),
        "logit": el.MNLogit("job ~ sex", penalty="l2", alpha=1.0).fit(train),
        "career": el.CAREER(**TINY).fit(train, seed=0),
    }
    assert "career" in str(el.compare(fits, test, by="history"))
    found = el.compare(fits, test).frame.loc["career"]
    assert found["perplexity"] == pytest.approx(fits["career"].perplexity(test).value)


REFITTED = {"c": el.CAREER(**TINY), "counts": el.Empirical()}


def test_the_bootstrap_refits_it():
    train, test = panel().split([0.6, 0.4])
    models = {**REFITTED, "tuned": el.CAREER(start=fitted(), training=TINY["training"])}
    found = el.bootstrap(models, train, test, replications=3, seed=5)
    assert found.perplexity.shape == (3, 3)
    assert found.perplexity["c"].nunique() == found.perplexity["tuned"].nunique() == 3
    assert any("preset = tiny" in text for text in found.held)


@pytest.mark.slow
def test_the_bootstrap_refits_it_alike_in_several_processes():
    train, test = panel().split([0.6, 0.4])
    models = {**REFITTED, "tuned": el.CAREER(start=fitted(), training=TINY["training"])}
    one, two = (el.bootstrap(models, train, test, replications=3, seed=5, n_jobs=jobs) for jobs in (1, 2))
    np.testing.assert_allclose(one.scores, two.scores, rtol=0, atol=1e-6)


def test_rare_occupations_survive_counts_of_draws():
    df = careers().reset_index(drop=True)
    df = df[(df["job"] != 50) | (df["id"] == df.loc[df["job"] == 50, "id"].iloc[0])]
    train, test = panel_of(df), panel()
    scores = el.bootstrap({"c": el.CAREER(**TINY)}, train, test, replications=4, draws="multinomial").scores
    assert np.isfinite(scores).all()

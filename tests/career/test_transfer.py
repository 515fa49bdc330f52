"""Starting from another fit: what is known stays, what is new starts without effect."""

import numpy as np
import pandas as pd
import pytest
import torch

import econllm as el
from econllm.career.fitting import part_of, title_vectors, union
from econllm.career.inputs import Coding
from econllm.career.network import CareerNetwork, Shape
from econllm.career.prediction import Predictor
from econllm.career.transfer import transfer
from econllm.errors import DataError, EconLLMWarning, OptionError
from tests.career.samples import CHOICES, MORE, TINY, careers, encoder, fitted, loud, panel, panel_of, same_weights

TRAINING = TINY["training"]


def moved(source, data, choices=None, titles=None, **coding):
    """A new network for a panel with what the source knows, before any training."""
    choices = choices or union(data.choices, source.choices)
    like = source.predictor.coding
    coding = Coding.of(data, like=like, **coding)
    old = source.predictor.network.shape.__dict__
    vectors = None if titles is None else title_vectors(el.CAREER(titles=titles), choices)
    sizes = {
        "choices": len(choices),
        "levels": coding.levels,
        "numbers": coding.columns,
        "times": len(coding.times),
        "titles": 0 if vectors is None else vectors.shape[1],
    }
    with torch.random.fork_rng():
        torch.manual_seed(123)
        network = CareerNetwork(Shape(**{**old, **sizes}), vectors).eval()
    same = titles is None or source.model.titles is None or titles == source.model.titles
    transfer(source.predictor.network, like, source.choices, network, coding, choices, one_encoder=same)
    return Predictor(network, coding, choices, source.predictor.unseen)


@pytest.mark.parametrize("titles", [False, True])
@pytest.mark.parametrize("options", [{}, {"two_stage": False}, {"returns": False, "position": None}], ids=str)
def test_the_same_data_give_the_same_predictions(options, titles):
    options = {**options, **({"titles": encoder()} if titles else {})}
    source = loud(fitted(**options))
    target = moved(source, panel(), titles=options.get("titles"))
    np.testing.assert_allclose(target.log_proba(panel()), source.log_proba(panel()), rtol=0, atol=1e-6)
    assert target.coding == source.predictor.coding


def test_copies_are_copies():
    source = loud(fitted())
    before = source.log_proba(panel())
    target = moved(source, panel())
    with torch.no_grad():
        for parameter in target.network.parameters():
            parameter.zero_()
    assert np.array_equal(source.log_proba(panel()), before)


def test_new_covariates_start_without_effect():
    source = loud(fitted(covariates=("sex", "educ", "hours")))
    df = careers()
    more = df.assign(
        mood=np.where(df["hours"] > 40, "good", "bad"), age=df["year"] - df["birth"], past=df["educ"] ** 2, union="yes"
    )
    data = panel_of(more, dynamic=["mood", "region", "age", "educ"], lagged=["past", "hours", "union"])
    target = moved(source, data)
    assert len(target.coding.factors) > len(source.predictor.coding.factors)
    np.testing.assert_allclose(target.log_proba(data), source.log_proba(panel()), rtol=0, atol=1e-5)


def test_covariates_that_are_gone_count_as_having_no_effect():
    source, df = loud(fitted()), careers()
    data = panel_of(df, static=["sex"], dynamic=["region"], lagged=["sector"])
    target = moved(source, data)
    with torch.no_grad():
        network, coding = source.predictor.network, source.predictor.coding
        for j, number in enumerate(coding.numbers):
            if number.column in ("birth", "educ", "hours"):
                network.numbers.weight[:, [j, len(coding.numbers) + j]] = 0
    np.testing.assert_allclose(target.log_proba(data), source.log_proba(panel()), rtol=0, atol=1e-5)


def test_columns_are_matched_by_name_and_role():
    source = fitted()
    data = panel_of(careers(), dynamic=["region", "hours"], lagged=["educ", "sector"])
    target = moved(loud(source), data)
    names = [(n.column, n.lagged) for n in target.coding.numbers]
    for name in [("hours", False), ("educ", True)]:
        j = names.index(name)
        assert (target.network.numbers.weight[:, [j, len(names) + j]] == 0).all()


def test_known_numbers_keep_their_scale_and_levels_their_meaning():
    source = loud(fitted())
    df = careers(seed=3).assign(educ=lambda d: d["educ"] * 100)
    df["region"] = df["region"].map({"east": "west", "north": "a new one", "west": "east"})
    data = panel_of(df)
    target = moved(source, data)
    known = {(n.column, n.lagged): n for n in source.predictor.coding.numbers}
    assert all(known[n.column, n.lagged] == n for n in target.coding.numbers)
    factor = next(f for f in target.coding.factors if f.column == "region")
    assert factor.levels == ("a new one", "east", "west")
    offset = target.coding.offsets[[f.column for f in target.coding.factors].index("region")]
    there = [f.column for f in source.predictor.coding.factors].index("region")
    begin = source.predictor.coding.offsets[there]
    old, new = source.predictor.network.covariates.weight, target.network.covariates.weight
    assert torch.equal(new[[offset, offset + 2, offset + 3]], old[[begin, begin + 1, begin + 3]])
    assert (new[offset + 1] == 0).all()


def test_times_are_matched_by_value():
    source = loud(fitted())
    data = panel_of(careers().assign(year=lambda d: d["year"] + 3))
    target = moved(source, data)
    assert set(source.predictor.coding.times) <= set(target.coding.times)
    for time, weight in zip(target.coding.times, target.network.times.weight, strict=True):
        if time in source.predictor.coding.times:
            at = source.predictor.coding.times.index(time)
            assert torch.equal(weight, source.predictor.network.times.weight[at])
        else:
            assert (weight == 0).all()


@pytest.mark.parametrize("calendar", ["number", None])
def test_calendars_may_differ(calendar):
    for first, second in ((calendar, "learned"), ("learned", calendar)):
        fit = el.CAREER(start=fitted(calendar=first), calendar=second, training=TRAINING).fit(panel(), seed=0)
        np.testing.assert_allclose(np.exp(fit.log_proba(panel())).sum(axis=1), 1, atol=1e-9)


def other_jobs():
    """Careers between three known occupations and one that is new."""
    titles = el.ChoiceSet([80, 30, 20, 10], ["Baker", "Clerk", "Head cook", "Cook"])
    df = careers(seed=2)
    df["job"] = df["job"].map({10: 10, 20: 20, 30: 30, 40: 80, 50: 80})
    return panel_of(df, titles)


def test_choice_sets_are_united_and_matched_by_code():
    source, data = fitted(), other_jobs()
    fit = el.CAREER(start=source, training=TRAINING).fit(data, seed=0)
    assert fit.choices.codes == (80, 30, 20, 10, 40, 50)
    assert fit.choices.titles == ("Baker", "Clerk", "Head cook", "Cook", "Nurse", "Manager")
    assert fit.info.unseen == ()
    assert np.isfinite(fit.log_likelihood(panel())).all()
    target = moved(loud(source), data)
    old, new = loud(source).predictor.network, target.network
    for code in (10, 20, 30, 40, 50):
        i, j = source.choices.codes.index(code), target.choices.codes.index(code)
        assert torch.equal(old.output.weight[i], new.output.weight[j])
        assert torch.equal(old.output.bias[i], new.output.bias[j])
        assert torch.equal(old.occupation.weight[i + 1], new.occupation.weight[j + 1])
    assert torch.equal(old.occupation.weight[0], new.occupation.weight[0])


def test_only_what_neither_sample_saw_is_unseen():
    source = fitted(MORE)
    df = careers(seed=2)
    df["job"] = df["job"].replace({40: 70, 50: 70})
    choices = el.ChoiceSet([10, 20, 30, 70, 90], ["Cook", "Head cook", "Clerk", "Pilot", "Sailor"])
    data = panel_of(df, choices)
    fit = el.CAREER(start=source, training=TRAINING).fit(data, seed=0)
    assert set(fit.info.unseen) == {60, 90}
    assert (fit.predictor.network.output.weight[list(fit.choices.codes).index(70)] != 0).any()
    np.testing.assert_allclose(np.exp(fit.log_proba(data)).sum(axis=1), 1, atol=1e-9)


def test_choice_sets_that_cannot_be_united_are_refused():
    df = careers()
    text = panel_of(df.assign(job=df["job"].map(str)), el.ChoiceSet([str(code) for code in CHOICES.codes]))
    with pytest.raises(DataError, match="start="):
        el.CAREER(start=fitted(), training=TRAINING).fit(text)
    renamed = el.ChoiceSet([11, 20, 30, 40, 50], ["Cook", "b", "c", "d", "e"])
    with pytest.raises(DataError, match=r"start=.*'Cook'"):
        el.CAREER(start=fitted(), training=TRAINING).fit(panel_of(df.replace({"job": {10: 11}}), renamed))


# Titles


def test_a_network_without_titles_gets_the_sum_of_both_parts():
    source = loud(fitted(MORE, titles=encoder()))
    data = panel(titles=MORE)
    target = moved(source, data)
    assert target.network.title_input is None
    np.testing.assert_allclose(target.log_proba(data), source.log_proba(data), rtol=0, atol=1e-5)


def test_titles_start_without_effect_where_the_source_has_none():
    source = loud(fitted())
    target = moved(source, panel(), titles=encoder())
    np.testing.assert_allclose(target.log_proba(panel()), source.log_proba(panel()), rtol=0, atol=1e-5)
    fit = el.CAREER(start=fitted(), titles=encoder(), training=TRAINING).fit(panel(), seed=0)
    assert (fit.predictor.network.title_input.weight != 0).any()


@pytest.mark.parametrize("options", [{"seed": 1}, {"hidden": 32}], ids=str)
def test_titles_of_another_encoder_start_without_effect(options):
    other = encoder(**options)
    source = loud(fitted(titles=encoder()))
    target = moved(source, panel(), titles=other)
    assert (target.network.title_input.weight == 0).all()
    np.testing.assert_allclose(target.log_proba(panel()), source.log_proba(panel()), rtol=0, atol=1e-5)
    fit = el.CAREER(start=fitted(titles=encoder()), titles=other, training=TRAINING).fit(panel(), seed=0)
    assert np.isfinite(fit.log_proba(panel())).all()


def test_titles_are_handed_on_from_start_to_start():
    first = fitted(titles=encoder())
    second = el.CAREER(start=first, training=TRAINING).fit(panel(), seed=0)
    third = el.CAREER(start=second, training=TRAINING).fit(panel(seed=1), seed=0)
    for fit in (first, second, third):
        assert fit.predictor.network.shape.titles == 16
    frozen = el.CAREER(start=second, training=TRAINING, freeze=["embeddings"]).fit(panel(), seed=0)
    assert torch.equal(frozen.predictor.network.title_input.weight, second.predictor.network.title_input.weight)


# Options


@pytest.mark.parametrize(
    ("freeze", "moving"),
    [
        ([1], {"embeddings", "head"}),
        (["embeddings"], {1, "head"}),
        (["head"], {1, "embeddings"}),
        ([1, "embeddings"], {"head"}),
        ((), {1, "embeddings", "head"}),
    ],
)
def test_frozen_parts_stay_bit_for_bit(freeze, moving):
    source = fitted(titles=encoder())
    fit = el.CAREER(start=source, freeze=freeze, training=TRAINING).fit(panel(), seed=0)
    old, new = (dict(r.predictor.network.named_parameters()) for r in (source, fit))
    changed = {part_of(name) for name in new if not torch.equal(old[name], new[name])}
    assert changed == moving
    free = sum(p.numel() for name, p in new.items() if part_of(name) in moving)
    assert fit.info.parameters == free


def test_every_parameter_belongs_to_a_part():
    parts = {part_of(name) for name, _ in fitted(titles=encoder(), layers=2).predictor.network.named_parameters()}
    assert parts == {1, 2, "embeddings", "head"}


@pytest.mark.parametrize("part", ["head", "embeddings"])
def test_new_occupations_in_frozen_parts_are_named(part):
    data = panel_of(careers().replace({"job": {50: 60}}), titles=MORE)
    with pytest.warns(EconLLMWarning, match="does not know 1 occupations, whose vectors stay.*: 60") as caught:
        el.CAREER(start=fitted(), freeze=[part], training=TRAINING).fit(data, seed=0)
    assert caught[0].filename == __file__


def test_new_columns_in_frozen_embeddings_are_named():
    frame = careers().assign(rural=1.0)
    frame.loc[frame["region"] == "east", "region"] = "south"
    data = panel_of(frame, dynamic=["region", "educ", "rural"])
    with pytest.warns(EconLLMWarning, match="the columns 'region', 'rural', or levels of theirs"):
        el.CAREER(start=fitted(), freeze=["embeddings"], training=TRAINING).fit(data, seed=0)
    el.CAREER(start=fitted(), freeze=["head"], training=TRAINING).fit(data, seed=0)


def test_freezing_everything_is_refused():
    with pytest.raises(OptionError, match="no parameters to train"):
        el.CAREER(start=fitted(), freeze=[1, "embeddings", "head"], training=TRAINING).fit(panel())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 32}, "dim=32, but start= has dim=16, and its sizes are taken: leave dim out"),
        ({"layers": 2}, "layers=2, but start= has layers=1"),
        ({"two_stage": False}, "two_stage=False, but start= was fitted with True"),
        ({"returns": False}, "returns=False, but start= was fitted with True"),
        ({"position": None}, "position=None, but start= was fitted with 'learned'"),
        ({"freeze": ["heads"]}, "freeze names 'heads'.*Did you mean 'head'.*blocks 1 to 1"),
        ({"freeze": [2]}, "freeze names 2"),
        ({"freeze": [0]}, "freeze names 0"),
        ({"freeze": [True]}, "freeze names True"),
    ],
    ids=str,
)
def test_options_that_do_not_go_with_the_start(options, message):
    with pytest.raises(OptionError, match=message):
        el.CAREER(start=fitted(), **options)


def test_results_of_another_model_are_no_start():
    with pytest.raises(OptionError, match="start is a EmpiricalResults"):
        el.CAREER(start=el.Empirical().fit(panel()))


def test_sizes_and_dropout_are_those_of_the_start():
    model = el.CAREER(start=fitted(dropout=0.05), preset="quick")
    assert model.automatic == ()
    sizes = model.sizes(10**7)
    assert (sizes.layers, sizes.dim, sizes.heads, sizes.ffn, sizes.dropout) == (1, 16, 2, 64, 0.05)
    assert sizes.training.epochs == 8
    assert el.CAREER(start=fitted(), dim=16, dropout=0.5).sizes(1).dropout == 0.5


def test_the_start_is_not_changed():
    source = el.CAREER(**TINY).fit(panel(), seed=0)
    before = {name: v.clone() for name, v in source.predictor.network.state_dict().items()}
    el.CAREER(start=source, training=TRAINING, freeze=[1]).fit(panel(seed=1), seed=0)
    after = source.predictor.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.requires_grad for p in source.predictor.network.parameters())


def test_fine_tuning_goes_on_where_training_ended():
    training = el.Training(epochs=20, batch=16, learning_rate=0.01)
    source = fitted(training=training, dropout=0.0)
    gentle = el.Training(epochs=1, batch=16, learning_rate=1e-5)
    tuned = el.CAREER(start=source, training=gentle).fit(panel(), seed=0)
    np.testing.assert_allclose(tuned.log_proba(panel()), source.log_proba(panel()), rtol=0, atol=0.01)
    fresh = fitted(training=gentle, dropout=0.0)
    assert tuned.info.log_likelihood > fresh.info.log_likelihood + 10


def test_a_start_is_part_of_the_specification():
    one, two = (el.CAREER(**TINY).fit(panel(), seed=seed) for seed in (1, 2))
    model = el.CAREER(start=one, training=TRAINING)
    again = model.replace(training=el.Training(epochs=1))
    assert again.start is one
    fits = [el.CAREER(start=start, training=TRAINING).fit(panel(), seed=0) for start in (one, two, one)]
    assert not same_weights(fits[0].predictor.network, fits[1].predictor.network)
    assert same_weights(fits[0].predictor.network, fits[2].predictor.network)


def test_only_weighted_persons_of_the_new_sample_are_seen():
    source = fitted()
    data = other_jobs()
    holders = data.to_frame().loc[lambda d: d["job"] == 80, "id"].unique()
    weights = pd.Series(1.0, index=data.persons)
    weights[holders] = 0.0
    fit = el.CAREER(start=source, training=TRAINING).fit(data, weights=weights, seed=0)
    assert fit.info.unseen == (80,)


@pytest.mark.gpu
def test_a_start_may_be_on_another_device():
    source = el.CAREER(**TINY, device="cuda").fit(panel(), seed=0)
    tuned = el.CAREER(start=source, training=TRAINING, device="cpu").fit(panel(), seed=0)
    assert tuned.predictor.device.type == "cpu"

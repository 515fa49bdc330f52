import numpy as np
import pytest

import econllm as el
from econllm.errors import DataError, OptionError
from econllm.options import child_seed
from econllm.resampling import person_weights

MODELS = {
    "Empirical": el.Empirical(),
    "MNL": el.MNLogit("occupation ~ lag(occupation) + educ", penalty="l2", alpha=1e-2),
}


@pytest.fixture(scope="module")
def parts():
    return el.datasets.simulate_careers(150, 4, seed=3).split([0.5, 0.2, 0.3], seed=0)


@pytest.fixture(scope="module")
def boot(parts):
    train, valid, test = parts
    return el.bootstrap(MODELS, train, test, validation=valid, replications=6, seed=1)


def test_scores_are_those_of_refits_on_weighted_persons(boot, parts):
    train, _, test = parts
    seed = child_seed(np.random.SeedSequence(1), 2)
    weights = person_weights(train.persons, child_seed(seed, 0))
    refit = el.Empirical().fit(train, weights=weights)
    expected = refit.log_likelihood(test).groupby(test.person_ids).sum()
    assert np.allclose(boot.scores[2, 0], expected, atol=1e-12)
    assert boot.perplexity.loc[2, "Empirical"] == pytest.approx(refit.perplexity(test).value, rel=1e-12)
    assert boot.counts.tolist() == test.to_frame().groupby("person").size().tolist()


def test_standard_errors_are_standard_deviations_over_replications(boot):
    assert boot.std_errors["MNL"] == pytest.approx(boot.perplexity["MNL"].std(ddof=1))
    gap = boot.mean_scores["MNL"] - boot.mean_scores["Empirical"]
    assert boot.difference_std_errors("Empirical")["MNL"] == pytest.approx(gap.std(ddof=1))
    assert boot.difference_std_errors("Empirical")["Empirical"] == 0


def test_numbers_do_not_depend_on_workers(boot, parts):
    train, valid, test = parts
    again = el.bootstrap(MODELS, train, test, validation=valid, replications=6, seed=1, n_jobs=2)
    assert np.array_equal(again.scores, boot.scores)


def test_adding_a_model_does_not_change_the_draws_of_persons(boot, parts):
    train, valid, test = parts
    alone = el.bootstrap({"Empirical": el.Empirical()}, train, test, validation=valid, replications=6, seed=1)
    assert np.array_equal(alone.scores[:, 0], boot.scores[:, 0])


def test_a_folder_is_resumed_and_holds_no_texts_of_the_data(boot, parts, tmp_path):
    train, valid, test = parts
    arguments = {"validation": valid, "seed": 1, "folder": tmp_path / "boot"}
    el.bootstrap(MODELS, train, test, replications=3, **arguments)
    again = el.bootstrap(MODELS, train, test, replications=6, **arguments)
    assert np.array_equal(again.scores, boot.scores)
    with pytest.raises(OptionError, match="other models, data or seed"):
        el.bootstrap(MODELS, train, valid, replications=3, **arguments)


def test_tuning_parameters_are_held_and_named_unless_they_are_reselected(parts):
    train, valid, test = parts
    models = {"tuned": el.Empirical(smoothing="validation")}
    held = el.bootstrap(models, train, test, validation=valid, replications=4, seed=1)
    chosen = models["tuned"].fit(train, validation=valid).smoothing
    fixed = el.bootstrap(
        {"tuned": el.Empirical(smoothing=chosen)}, train, test, validation=valid, replications=4, seed=1
    )
    assert np.array_equal(held.scores, fixed.scores)
    assert "conditional on smoothing" in str(held)
    anew = el.bootstrap(models, train, test, validation=valid, replications=4, seed=1, reselect=True)
    assert anew.held == ()
    assert not np.array_equal(anew.scores, held.scores)


def test_comparison_carries_the_bootstrap_standard_error(boot, parts):
    train, _, test = parts
    fitted = {name: model.fit(train) for name, model in MODELS.items()}
    table = el.compare(fitted, test, bootstrap=boot)
    assert table.frame["bootstrap_std_error"].to_dict() == pytest.approx(boot.std_errors.to_dict())
    gap = table.frame["bootstrap_difference_std_error"].to_dict()
    assert gap == pytest.approx(boot.difference_std_errors("Empirical").to_dict())
    assert str(table).count("SE, training") == 3  # a line per model and a note
    with pytest.raises(DataError, match="another test sample"):
        el.compare(fitted, train, bootstrap=boot)
    with pytest.raises(OptionError, match="leave out by="):
        el.compare(fitted, test, bootstrap=boot, by="sex")
    with pytest.raises(OptionError, match="lacks the model 'other'"):
        el.compare({"other": fitted["MNL"]}, test, bootstrap=boot)
    with pytest.raises(OptionError, match=r"refitted another model under the name 'MNL': MNLogit\("):
        el.compare({"MNL": fitted["Empirical"]}, test, bootstrap=boot)
    half = train.subset(train.persons[:30])
    with pytest.raises(DataError, match="use the same training sample"):
        el.compare({"Empirical": el.Empirical().fit(half)}, test, bootstrap=boot, reference="Empirical")


def test_exponential_weights_lose_no_rare_outcome(parts):
    train, _, test = parts
    boot = el.bootstrap({"E": el.Empirical()}, train, test, replications=3, seed=0)
    assert np.isfinite(boot.scores).all()


def test_what_is_no_panel_or_no_model_is_refused(parts):
    train, _, test = parts
    with pytest.raises(DataError, match="test is a DataFrame"):
        el.bootstrap(MODELS, train, test.to_frame(), replications=2)
    with pytest.raises(OptionError, match="models is empty"):
        el.bootstrap({}, train, test, replications=2)
    with pytest.raises(OptionError, match="models are a list"):
        el.bootstrap([el.Empirical()], train, test, replications=2)
    with pytest.raises(OptionError, match="give an estimator"):
        el.bootstrap({"x": "Empirical"}, train, test, replications=2)


class Counted(el.Empirical):
    """Counts its fits."""

    fits = 0

    def fit(self, *args, **options):
        Counted.fits += 1
        return super().fit(*args, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": "bernoulli"}, "draws='bernoulli' is not an option"),
        ({"replications": 1}, "replications=1"),
        ({"seed": "a"}, "seed='a' is not a seed"),
        ({"n_jobs": 0}, "n_jobs=0 leaves nobody"),
        ({"reselect": "yes"}, "reselect='yes' is not an option"),
        ({"folder": __file__}, "is a file"),
        ({"folder": "x", "seed": None}, "fixed seed"),
    ],
)
def test_options_are_checked_before_any_fit(parts, options, message):
    train, valid, test = parts
    Counted.fits = 0
    with pytest.raises(OptionError, match=message):
        el.bootstrap(
            {"E": Counted(smoothing="validation")}, train, test, validation=valid, **{"replications": 2} | options
        )
    assert Counted.fits == 0


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "lowest", "highest"), [(2.0, 0.85, 1.15), (0.0, 1.0, 1.9)])
def test_standard_error_against_the_variation_over_training_samples(shift, lowest, highest):
    """The bootstrap from one training sample against the truth: many training samples, one test sample.

    Where test careers come from another population, perplexity is linear in the estimation error and the bootstrap is
    right. Where they come from the same one, perplexity is flat about the truth and quadratic in the error; variance
    about the estimate, which is not at the bottom, is then up to three times the variance about the truth.
    """
    test = el.datasets.simulate_careers(400, 4, seed=999, shift=shift)
    model = el.Empirical(smoothing=0.1)

    def sample(seed):
        return el.datasets.simulate_careers(120, 4, seed=seed)

    truth = np.std([model.fit(sample(s)).perplexity(test).value for s in range(300)], ddof=1)
    found = [el.bootstrap({"E": model}, sample(s), test, replications=60).std_errors["E"] for s in range(16)]
    assert lowest < np.sqrt(np.mean(np.square(found))) / truth < highest

import joblib
import numpy as np
import pytest

import econllm as el
from econllm.errors import DataError, MissingColumnError, OptionError
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
    assert boot.scores.shape == (6, 1, 2, 45)
    assert np.allclose(boot.scores[2, 0, 0], expected, atol=1e-12)
    assert boot.perplexity.loc[(2, 0), "Empirical"] == pytest.approx(refit.perplexity(test).value, rel=1e-12)
    assert boot.counts.tolist() == test.to_frame().groupby("person").size().tolist()


def test_components_are_variances_over_replications_less_what_suits_the_test_persons(boot):
    means = boot.scores[:, 0].sum(axis=2) / boot.counts.sum()
    parts = (boot.scores[:, 0] - means[..., None] * boot.counts) / boot.counts.sum()
    persons = len(boot.counts)
    crossed = ((parts - parts.mean(axis=0)) ** 2).sum(axis=(0, 2)) / 5 * persons / (persons - 1)
    expected = means.var(axis=0, ddof=1) - crossed
    found = boot.components()
    for m, name in enumerate(boot.models):
        assert found[name].training == pytest.approx(max(expected[m], 0), abs=1e-15)
        assert np.isnan(found[name].seed)
    assert boot.components("Empirical")["Empirical"].training == 0
    with pytest.raises(OptionError, match="Did you mean 'MNL'"):
        boot.components("MNl")
    with pytest.raises(OptionError, match="has 45 test persons"):
        boot.components(persons=np.ones(3))


def test_a_group_of_test_persons_is_a_test_sample_of_its_own(parts):
    train, _, test = parts
    group = test.persons[::2]
    all_of_them = el.bootstrap(MODELS, train, test, replications=4, seed=3)
    some = el.bootstrap(MODELS, train, test.subset(group), replications=4, seed=3)
    weights = np.isin(test.persons, group).astype(float)
    found, expected = all_of_them.components("MNL", persons=weights), some.components("MNL")
    assert found["Empirical"].training == pytest.approx(expected["Empirical"].training, rel=1e-9)


class Noisy(el.Empirical):
    """Its smoothing is drawn anew in every fit, as if training left it to chance; counts its fits."""

    fits = 0

    @property
    def stochastic(self):
        return True

    def fit(self, data, *, seed=None, **options):
        Noisy.fits += 1
        smoothing = float(np.random.default_rng(seed).uniform(0.1, 5))
        return el.Empirical(smoothing=smoothing).fit(data, **options)


def test_seeds_are_nested_in_replications(parts):
    train, _, test = parts
    Noisy.fits = 0
    boot = el.bootstrap({"E": el.Empirical(), "N": Noisy()}, train, test, replications=5, seeds=3, seed=2)
    assert Noisy.fits == 15
    assert boot.scores.shape == (5, 3, 2, 45)
    assert (boot.scores[:, :, 0] == boot.scores[:, :1, 0]).all()
    found = boot.components()
    assert found["E"].seed == 0
    assert found["N"].seed > 0
    one = el.bootstrap({"E": el.Empirical(), "N": Noisy()}, train, test, replications=5, seeds=1, seed=2)
    assert np.array_equal(one.scores, boot.scores[:, :1])
    assert "includes what is due to the seed" in " ".join(str(one).split())
    assert "3 seeds each" in str(boot)


def test_households_are_drawn_whole():
    df = el.datasets.simulate_careers(60, 3, seed=4).to_frame()
    df["household"] = df["person"] // 2
    panel = el.CareerPanel(df, "person", "year", "occupation", static=["household"], dynamic=["educ"])
    train, test = panel.split([0.6, 0.4], seed=0)
    boot = el.bootstrap({"E": el.Empirical()}, train, test, replications=3, resample="household", seed=1)
    homes = train.to_frame().groupby("person")["household"].first()
    drawn = person_weights(np.unique(homes), child_seed(child_seed(np.random.SeedSequence(1), 0), 0))
    refit = el.Empirical().fit(train, weights=homes.map(drawn))
    assert boot.scores[0, 0, 0].sum() == pytest.approx(refit.log_likelihood(test).sum(), abs=1e-9)
    assert "same 'household'" in " ".join(str(boot).split())
    with pytest.raises(OptionError, match="resample='educ' varies within 15 persons"):
        el.bootstrap({"E": el.Empirical()}, train, test, replications=2, resample="educ")
    with pytest.raises(MissingColumnError, match="Did you mean 'household'"):
        el.bootstrap({"E": el.Empirical()}, train, test, replications=2, resample="households")


def test_validation_persons_are_fixed_or_drawn(parts):
    train, valid, test = parts
    arguments = {"validation": valid, "replications": 4, "seed": 1, "reselect": True}
    fixed = el.bootstrap({"E": el.Empirical(smoothing="validation")}, train, test, **arguments)
    drawn = el.bootstrap(
        {"E": el.Empirical(smoothing="validation")}, train, test, resample_validation=True, **arguments
    )
    assert not np.array_equal(fixed.scores, drawn.scores)


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_other_backends_give_the_same_numbers(boot, parts, backend, tmp_path):
    train, valid, test = parts
    with joblib.parallel_config(backend=backend, n_jobs=2):
        again = el.bootstrap(MODELS, train, test, validation=valid, replications=6, seed=1, folder=tmp_path / "b")
    assert np.array_equal(again.scores, boot.scores)
    assert len(list((tmp_path / "b").glob("*.npy"))) == 6


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_numbers(boot, parts):
    distributed = pytest.importorskip("distributed")
    train, valid, test = parts
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        again = el.bootstrap(MODELS, train, test, validation=valid, replications=6, seed=1)
    assert np.array_equal(again.scores, boot.scores)


def test_numbers_do_not_depend_on_workers(boot, parts):
    train, valid, test = parts
    again = el.bootstrap(MODELS, train, test, validation=valid, replications=6, seed=1, n_jobs=2)
    assert np.array_equal(again.scores, boot.scores)


def test_adding_a_model_does_not_change_the_draws_of_persons(boot, parts):
    train, valid, test = parts
    alone = el.bootstrap({"Empirical": el.Empirical()}, train, test, validation=valid, replications=6, seed=1)
    assert np.array_equal(alone.scores[:, :, 0], boot.scores[:, :, 0])


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


def test_comparison_carries_what_is_due_to_training(boot, parts):
    train, _, test = parts
    fitted = {name: model.fit(train) for name, model in MODELS.items()}
    table = el.compare(fitted, test, bootstrap=boot)
    row, part = table.frame.loc["MNL"], boot.components()["MNL"]
    assert row["training_std_error"] == pytest.approx(row["perplexity"] * np.sqrt(part.training))
    assert np.isnan(row["seed_std_error"])
    total = row["training_std_error"] ** 2 + row["std_error"] ** 2
    assert row["procedure_std_error"] ** 2 == pytest.approx(total)
    assert row["procedure_lower"] < row["lower"] < row["perplexity"] < row["procedure_upper"]
    gap = boot.components("Empirical")["MNL"].training + row["difference_std_error"] ** 2
    assert row["difference_procedure_std_error"] ** 2 == pytest.approx(gap)
    assert str(table).count("this procedure") == 2  # a line per model
    sources = table.decomposition().to_frame()
    assert sources.columns.get_level_values(1)[1:].tolist() == [
        "training sample",
        "training order, initialisation",
        "test sample",
        "this fitted model",
        "this procedure",
    ]
    assert sources.iloc[:, 2].isna().all()  # one seed: blank, not zero
    with pytest.raises(DataError, match="another test sample"):
        el.compare(fitted, train, bootstrap=boot)
    with pytest.raises(OptionError, match="vary within persons"):
        el.compare(fitted, test, bootstrap=boot, by="history")
    with pytest.raises(OptionError, match="none of these models; it has Empirical, MNL"):
        el.compare({"other": fitted["MNL"]}, test, bootstrap=boot)
    partly = el.compare(fitted | {"other": fitted["MNL"]}, test, bootstrap=boot)
    assert partly.frame.loc["Empirical", "procedure_std_error"] == table.frame.loc["Empirical", "procedure_std_error"]
    assert np.isnan(partly.frame.loc["other", "procedure_std_error"])
    assert str(partly).count("this procedure") == 2
    assert "Not refitted: other." in " ".join(str(partly).split())
    apart = el.compare(fitted | {"other": fitted["MNL"]}, test, bootstrap=boot, reference="other")
    assert "difference_procedure_std_error" not in apart.frame
    assert "Difference" in str(apart.decomposition())
    with pytest.raises(OptionError, match=r"refitted another model under the name 'MNL': MNLogit\("):
        el.compare({"MNL": fitted["Empirical"]}, test, bootstrap=boot)
    half = train.subset(train.persons[:30])
    with pytest.raises(DataError, match="use the same training sample"):
        el.compare({"Empirical": el.Empirical().fit(half)}, test, bootstrap=boot, reference="Empirical")
    with pytest.raises(OptionError, match=r"give compare\(\.\.\., bootstrap="):
        el.compare(fitted, test).decomposition()


def test_groups_of_persons_have_their_own_components(boot, parts):
    train, _, test = parts
    fitted = {name: model.fit(train) for name, model in MODELS.items()}
    frame = el.compare(fitted, test, bootstrap=boot, by="sex").frame
    for sex, rows in test.to_frame().groupby("sex"):
        persons = np.isin(test.persons, rows["person"].unique()).astype(float)
        part = boot.components(persons=persons)["MNL"].training
        row = frame.loc[(sex, "MNL")]
        assert row["training_std_error"] == pytest.approx(row["perplexity"] * np.sqrt(part), abs=1e-12)


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
        ({"seeds": 0}, "seeds=0"),
        ({"resample_validation": "yes"}, "resample_validation='yes'"),
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
    boots = [el.bootstrap({"E": model}, sample(s), test, replications=60) for s in range(16)]
    found = [boot.components()["E"].training * boot.perplexity["E"].mean() ** 2 for boot in boots]
    assert lowest < np.sqrt(np.mean(found)) / truth < highest


def test_a_folder_of_the_same_models_in_another_order_is_refused(parts, tmp_path):
    train, _, test = parts
    arguments = {"replications": 2, "seed": 1, "folder": tmp_path / "boot"}
    el.bootstrap(MODELS, train, test, **arguments)
    with pytest.raises(OptionError, match="other models"):
        el.bootstrap(dict(reversed(MODELS.items())), train, test, **arguments)


def test_a_folder_of_other_covariates_or_households_is_refused(parts, tmp_path):
    df = el.datasets.simulate_careers(40, 3, seed=4).to_frame()
    df["household"] = df["person"] // 2

    def run(df, folder):
        panel = el.CareerPanel(df, "person", "year", "occupation", static=["household"], dynamic=["educ"])
        train, test = panel.split([0.6, 0.4], seed=0)
        return el.bootstrap(
            {"E": el.Empirical()}, train, test, replications=2, resample="household", folder=tmp_path / folder
        )

    run(df, "a")
    with pytest.raises(OptionError, match="other models, data or seed"):
        run(df.assign(educ=df["educ"] + 1), "a")
    with pytest.raises(OptionError, match="other models, data or seed"):
        run(df.assign(household=df["person"] // 3), "a")


def test_numbers_of_stochastic_models_do_not_depend_on_their_place(parts):
    train, _, test = parts
    forth = el.bootstrap({"E": el.Empirical(), "N": Noisy()}, train, test, replications=3, seed=2)
    back = el.bootstrap({"N": Noisy(), "E": el.Empirical()}, train, test, replications=3, seed=2)
    assert np.array_equal(forth.scores[:, :, 1], back.scores[:, :, 0])


def test_an_ensemble_is_refitted_without_standard_errors(parts):
    train, valid, test = parts
    model = el.Ensemble(el.MNLogit("occupation ~ educ", penalty="l2"), members=2)
    fitted = {"E": model.fit(train, validation=valid, seed=0), "F": el.Empirical().fit(train)}
    for given in (fitted, {"E": model, "F": el.Empirical()}):
        boot = el.bootstrap(given, train, test, validation=valid, replications=2)
        assert "cov_type=None" in boot.specifications[0]
        assert el.compare(fitted, test, bootstrap=boot).frame["procedure_std_error"].notna().all()


def test_what_is_no_validation_panel_is_named(parts):
    train, valid, test = parts
    with pytest.raises(DataError, match="validation is a DataFrame"):
        el.bootstrap(MODELS, train, test, validation=valid.to_frame(), replications=2)


def test_a_folder_of_other_titles_or_words_is_refused_and_of_the_same_persons_is_not(tmp_path):
    df = el.datasets.simulate_careers(40, 3, seed=4).to_frame()
    codes = np.unique(df["occupation"])

    def run(titles=("a", "b", "c"), **changes):
        options = {"template": el.ResumeTemplate(), "frame": df} | changes
        panel = el.CareerPanel(
            options.pop("frame"),
            "person",
            "year",
            "occupation",
            titles=dict(zip(codes, titles, strict=True)),
            dynamic=["educ"],
            **options,
        )
        train, test = panel.split([0.6, 0.4], seed=0)
        return el.bootstrap({"E": el.Empirical()}, train, test, replications=2, folder=tmp_path / "b")

    first = run()
    again = run(frame=df.assign(person=df["person"].astype("int32")))
    assert np.array_equal(first.scores, again.scores)
    for change in ({"titles": ("b", "a", "c")}, {"template": el.ResumeTemplate(opening="Hello")}):
        with pytest.raises(OptionError, match="other models, data or seed"):
            run(**change)

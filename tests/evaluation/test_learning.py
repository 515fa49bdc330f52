from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import econllm as el
from econllm.errors import DataError, InfiniteScoreWarning, OptionError
from econllm.evaluation.learning import LearningCurve, learning_curve
from econllm.metrics import perplexity
from econllm.options import child_seed

MODELS = {
    "Empirical": el.Empirical(),
    "MNL": el.MNLogit("occupation ~ lag(occupation) + educ", penalty="l2", alpha=1e-2),
}
ROLES = {
    "person": "person",
    "time": "year",
    "occupation": "occupation",
    "static": ["sex", "birth_year"],
    "dynamic": ["educ", "exper"],
    "lagged": ["wage"],
}


class Fits(el.Empirical):
    """Keeps the samples it is fitted on."""

    samples: ClassVar[list] = []

    def fit(self, data, **options):
        Fits.samples.append((data, options["seed"]))
        return super().fit(data, **options)


class _Scored:
    """Results that score rows in a way of their own."""

    flags = ()

    def __init__(self, scores):
        self.scores = scores

    def log_likelihood(self, data):
        return pd.Series(self.scores(len(data)))


class Impossible(el.Empirical):
    def fit(self, data, **options):
        return _Scored(lambda n: np.append(np.zeros(n - 1), -np.inf))


class Short(el.Empirical):
    def fit(self, data, **options):
        return _Scored(lambda n: np.zeros(n - 1))


@pytest.fixture(scope="module")
def parts():
    return el.datasets.simulate_careers(150, 4, seed=3).split([0.5, 0.2, 0.3], seed=0)


def another(change=lambda frame: frame, persons=40, **options):
    """Another sample of the same population, with identifiers of its own."""
    panel = el.datasets.simulate_careers(persons, 4, seed=8)
    frame = panel.to_frame()
    frame["person"] += 1000
    return el.CareerPanel(change(frame), **{"titles": panel.choices, **ROLES, **options})


@pytest.fixture
def samples():
    Fits.samples = []
    return Fits.samples


def persons(sample):
    return set(sample.persons.tolist())


def test_numbers_are_those_of_fits_by_hand(parts):
    train, valid, test = parts
    frame = learning_curve(MODELS, train, test, [30, 1.0], validation=valid, seed=5).frame
    assert frame[["model", "size", "added"]].to_numpy().tolist() == [
        ["Empirical", 30, 0],
        ["Empirical", 75, 0],
        ["MNL", 30, 0],
        ["MNL", 75, 0],
    ]
    order = np.random.default_rng(child_seed(child_seed(np.random.SeedSequence(5), 0), 0)).permutation(75)
    for name, model in MODELS.items():
        small = train.subset(train.persons[order[:30]])
        for sample, (_, row) in zip((small, train), frame[frame["model"] == name].iterrows(), strict=True):
            own = model.fit(sample, validation=valid).perplexity(test)
            found = row[["perplexity", "std_error", "lower", "upper"]].tolist()
            assert found == pytest.approx([own.value, own.std_error, *own.conf_int], rel=1e-12)
    assert frame["sd"].isna().all()


def test_samples_are_nested_within_a_repeat_and_shared_by_models(parts, samples):
    train, _, test = parts
    learning_curve({"a": Fits(), "b": Fits(smoothing=0.1)}, train, test, [40, 10, 1.0], repeats=2, seed=1)
    drawn = [persons(sample) for sample, _ in samples]
    assert [len(group) for group in drawn] == [10, 10, 40, 40, 75, 75] * 2
    assert drawn[0] == drawn[1] < drawn[2] == drawn[3] < drawn[4]
    assert drawn[6] < drawn[8]
    assert drawn[0] != drawn[6]
    seeds = [seed.spawn_key for _, seed in samples]
    assert seeds[:6] == [seeds[0], seeds[1]] * 3  # all sizes of a repeat share a model's seed
    assert len(set(seeds)) == 4
    assert [seed[0] for seed in seeds] == [0] * 6 + [1] * 6


def test_the_choice_set_stays_that_of_the_whole_sample(parts, samples):
    train, _, test = parts
    learning_curve({"a": Fits()}, train, test, [1, 2])
    assert all(sample.choices == train.choices for sample, _ in samples)


def test_repeats_are_averaged_in_nats(parts, samples):
    train, _, test = parts
    row = learning_curve({"a": Fits()}, train, test, [20, 30], repeats=3, seed=2).frame.iloc[0]
    fits = [el.Empirical().fit(sample) for sample, _ in samples if len(sample.persons) == 20]
    scores = np.mean([fit.log_likelihood(test).to_numpy() for fit in fits], axis=0)
    own = perplexity(scores, test.origin_ids)
    values = [fit.perplexity(test).value for fit in fits]
    assert row["perplexity"] == pytest.approx(np.exp(np.mean(np.log(values))), rel=1e-12)
    assert row["std_error"] == pytest.approx(own.std_error, rel=1e-12)
    assert row["sd"] == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_numbers_depend_neither_on_workers_nor_on_other_models(parts):
    train, valid, test = parts
    models = {"first": el.Empirical(), "second": el.Empirical(order=2)}
    options = {"validation": valid, "repeats": 2, "seed": 1, "extra": another(), "extra_sizes": [20]}
    both = learning_curve(models, train, test, [30, 75], **options).frame
    alone = learning_curve({"first": models["first"]}, train, test, [30, 75], **options).frame
    pd.testing.assert_frame_equal(both[both["model"] == "first"], alone)
    pd.testing.assert_frame_equal(both, learning_curve(models, train, test, [30, 75], n_jobs=2, **options).frame)


def test_a_folder_is_resumed(parts, tmp_path, samples):
    train, valid, test = parts
    folder = tmp_path / "curve"
    first = learning_curve({"a": Fits()}, train, test, [20, 40], seed=1, folder=folder)
    assert len(samples) == 2
    again = learning_curve({"a": Fits()}, train, test, [20, 40], seed=1, folder=folder)
    assert len(samples) == 2
    pd.testing.assert_frame_equal(first.frame, again.frame)
    learning_curve({"a": Fits()}, train, test, [20, 40], repeats=2, seed=1, folder=folder)
    assert len(samples) == 4
    with pytest.raises(OptionError, match="other models, data or seed"):
        learning_curve({"a": Fits()}, train, test, [20, 50], seed=1, folder=folder)
    with pytest.raises(OptionError, match="other models, data or seed"):
        learning_curve({"a": Fits()}, train, valid, [20, 40], seed=1, folder=folder)


def test_persons_of_another_panel_are_added_to_the_whole_sample(parts, samples):
    train, _, test = parts
    extra = another()
    curve = learning_curve({"a": Fits()}, train, test, [75], extra=extra, extra_sizes=[10, 1.0], repeats=2, seed=4)
    assert curve.frame[["size", "added"]].to_numpy().tolist() == [[75, 0], [75, 10], [75, 40]]
    few, all_of_them = samples[1][0], samples[2][0]
    assert persons(few) < persons(all_of_them)
    assert (len(few.persons), len(all_of_them.persons)) == (85, 115)
    own = few.to_frame().iloc[: len(train)]
    columns = ["year", "occupation", "sex", "educ", "exper", "wage"]
    pd.testing.assert_frame_equal(own[columns], train.to_frame()[columns].reset_index(drop=True))
    assert len(all_of_them) == len(train) + len(extra)
    both = pd.concat([train.to_frame(), extra.to_frame()])
    by_hand = el.Empirical().fit(el.CareerPanel(both, titles=train.choices, **ROLES)).perplexity(test)
    assert curve.frame["perplexity"].iloc[2] == pytest.approx(by_hand.value, rel=1e-12)


def test_identifiers_that_collide_are_different_persons(parts, samples):
    train, _, test = parts
    frame = another().to_frame()
    frame["person"] = train.persons[(frame["person"] - 1000).to_numpy() % 75]
    extra = el.CareerPanel(frame, titles=train.choices, **ROLES)
    learning_curve({"a": Fits()}, train, test, [75], extra=extra, extra_sizes=[1.0])
    assert len(samples[1][0].persons) == 75 + 40
    assert len(samples[1][0]) == len(train) + len(extra)


def test_levels_of_both_panels_can_be_predicted(parts):
    train, _, test = parts
    region = {"dynamic": ["educ", "exper", "region"]}

    def regions(panel, levels):
        frame = panel.to_frame()
        frame["region"] = np.array(levels)[np.arange(len(frame)) % len(levels)]
        return el.CareerPanel(frame, titles=train.choices, **{**ROLES, **region})

    own, tested = (regions(panel, ["south", "east"]) for panel in (train, test))
    extra = another(lambda frame: frame.assign(region=np.where(frame["year"] % 2, "north", "south")), **region)
    model = el.MNLogit("occupation ~ region + educ", penalty="l2", alpha=1e-2)
    frame = learning_curve({"MNL": model}, own, tested, [1.0], extra=extra, extra_sizes=[1.0]).frame
    assert frame["perplexity"].between(1, 4).all()


def test_histories_and_columns_by_outcome_survive_joining(careers, samples):
    frame = careers.assign(**{f"pay[{job}]": 1.0 for job in ("cook", "clerk", "nurse")})
    roles = {"person": "id", "time": "year", "occupation": "job", "dynamic": ["pay[alt]", "educ"], "lagged": ["wage"]}
    panel = el.CareerPanel(frame, **roles)
    extra = el.CareerPanel(frame.assign(id=frame["id"] + 10), **roles).split_time(2000)[1]
    train, test = panel.subset([1, 3]), panel.subset([2])
    learning_curve({"a": Fits()}, train, test, [2], extra=extra, extra_sizes=[1.0])
    joined = samples[1][0]
    assert joined.roles == panel.roles
    assert joined.is_target.tolist() == [True] * len(train) + extra.is_target.tolist()
    assert joined.is_first.sum() == train.is_first.sum() + extra.is_first.sum()
    assert joined.resumes()[-1].text == extra.resumes()[-1].text


def test_resampled_persons_are_taken_with_their_copies(parts, samples):
    train, _, test = parts
    drawn = train.resample(seed=1)
    distinct = len(np.unique(drawn.origin_ids))
    learning_curve({"a": Fits()}, drawn, test, [10, 1.0])
    assert [len(np.unique(sample.origin_ids)) for sample, _ in samples] == [10, distinct]
    assert len(samples[1][0]) == len(drawn)


def test_tables_and_figures(parts, tmp_path):
    train, _, test = parts
    curve = learning_curve(MODELS, train, test, [30, 75], repeats=2, extra=another(), extra_sizes=[10])
    assert isinstance(curve, LearningCurve)
    latex = curve.to_latex(tmp_path / "curve.tex")
    assert (tmp_path / "curve.tex").read_text(encoding="utf-8") == latex + "\n" * (not latex.endswith("\n"))
    row = curve.frame.iloc[2]
    assert rf"75 + 10 added & {row['perplexity']:.3f} & {row['std_error']:.3f}" in latex
    assert "SD over" in str(curve)
    assert "75 + 10 added" in curve.to_markdown()
    assert "<table" in curve.to_html()
    assert "SD over" not in str(learning_curve({"E": el.Empirical()}, train, test, [30, 75]))
    copy = curve.to_frame()
    copy.loc[0, "perplexity"] = 0
    assert curve.frame.loc[0, "perplexity"] > 1
    figure = curve.plot(tmp_path / "curve.pdf")
    assert (tmp_path / "curve.pdf").read_bytes().startswith(b"%PDF")
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["30", "75", "85"]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([10, 76], "sizes asks for 76 persons, but train has only 75"),
        ([0, 10], "sizes entry=0 is not allowed: give whole numbers from 1 to 75, or shares above 0 and up to 1.0"),
        ([0.5, 1.5], "sizes entry=1.5 is not allowed"),
        ([True, 10], "sizes entry=True is not allowed"),
        (["a", 10], "sizes entry='a' is not allowed"),
        ([float("nan"), 10], "sizes entry=nan is not allowed"),
        (10, "sizes=10 is no list"),
        ("10", "sizes='10' is no list"),
        ([10], "sizes holds 1 number of persons; a curve needs at least two points"),
        ([], "sizes holds 0 number"),
        ([75, 1.0], "sizes asks for the same number of persons more than once: 75"),
    ],
)
def test_sizes_are_checked_before_any_fit(parts, samples, sizes, message):
    train, _, test = parts
    with pytest.raises(OptionError, match=message):
        learning_curve({"a": Fits()}, train, test, sizes)
    assert not samples


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": 0}, "repeats=0"),
        ({"seed": "a"}, "seed='a' is not a seed"),
        ({"n_jobs": 0}, "n_jobs=0 leaves nobody"),
        ({"folder": "x", "seed": None}, "fixed seed"),
        ({"extra_sizes": [10]}, "give it as extra="),
        ({"models": {}}, "models is empty"),
        ({"models": {"E": "Empirical"}}, "model 'E' is a str; give an estimator"),
    ],
)
def test_options_are_checked_before_any_fit(parts, samples, options, message):
    train, _, test = parts
    with pytest.raises(OptionError, match=message):
        learning_curve(**{"models": {"a": Fits()}, "train": train, "test": test, "sizes": [10, 20]} | options)
    assert not samples


def test_extra_sizes_are_checked_before_any_fit(parts, samples):
    train, _, test = parts
    for sizes, message in (
        ([50], "extra_sizes asks for 50 persons, but extra has only 40"),
        ([], "extra_sizes is empty"),
    ):
        with pytest.raises(OptionError, match=message):
            learning_curve({"a": Fits()}, train, test, [10], extra=another(), extra_sizes=sizes)
    assert not samples


def test_test_persons_must_not_be_learnt_from(parts, samples):
    train, _, test = parts
    with pytest.raises(DataError, match="45 of 45 persons of test are in train too"):
        learning_curve({"a": Fits()}, test, test, [10, 20])
    with pytest.raises(DataError, match="3 of 45 persons of test are in validation too"):
        learning_curve({"a": Fits()}, train, test, [10, 20], validation=test.subset(test.persons[:3]))
    same = el.CareerPanel(test.to_frame(), titles=test.choices, **ROLES)
    with pytest.raises(DataError, match=r"are in extra too.* If these are other persons, give them other identifiers"):
        learning_curve({"a": Fits()}, train, test, [10, 20], extra=same, extra_sizes=[1.0])
    assert not samples


def other_jobs(frame):
    return frame.assign(occupation=frame["occupation"].replace(frame["occupation"].iloc[0], 9999))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (lambda: another(other_jobs, titles=None), r"train and extra have different occupations, \d+, 9999; make both"),
        (lambda: another(titles=None), "occupations in another order or wording"),
        (lambda: another(dynamic=["educ"]), "differ in dynamic: 'educ', 'exper' against 'educ'"),
        (lambda: another(lagged=[]), "differ in lagged: 'wage' against none"),
        (lambda: another(weights="wage", lagged=[]), "differ in lagged"),
        (
            lambda: another(lambda frame: frame.assign(educ=frame["educ"].astype(str))),
            "column 'educ' holds numbers in train and text in extra",
        ),
        (lambda: another().to_frame(), "extra is a DataFrame; a learning curve takes persons from a CareerPanel"),
    ],
)
def test_panels_that_do_not_match_are_refused(parts, samples, extra, message):
    train, _, test = parts
    with pytest.raises(DataError, match=message):
        learning_curve({"a": Fits()}, train, test, [10, 20], extra=extra(), extra_sizes=[1.0])
    assert not samples


def test_test_occupations_must_be_in_the_choice_set(parts, samples):
    train, _, test = parts
    strange = el.CareerPanel(other_jobs(test.to_frame()), **ROLES)
    with pytest.raises(DataError, match="9999"):
        learning_curve({"a": Fits()}, train, strange, [10, 20])
    assert not samples


def test_improper_models_and_impossible_outcomes(parts):
    train, _, test = parts
    with pytest.raises(OptionError, match="is improper: its probabilities sum to more than one"):
        learning_curve({"a": el.Empirical(normalization="printed")}, train, test, [10, 20])
    with pytest.warns(InfiniteScoreWarning, match="'a' gave probability zero to what happened"):
        curve = learning_curve({"a": Impossible()}, train, test, [10, 20], repeats=2)
    assert np.isinf(curve.frame["perplexity"]).all()
    assert curve.frame["sd"].isna().all()
    assert "∞" in str(curve)


def test_rows_left_out_are_refused(parts):
    train, _, test = parts
    with pytest.raises(DataError, match=r"predicts \d+ of \d+ test rows"):
        learning_curve({"a": Short()}, train, test, [10, 20])


def test_of_results_the_specification_is_taken(parts):
    train, _, test = parts
    model = el.Empirical(smoothing=0.3)
    given, fitted = (learning_curve({"E": m}, train, test, [30, 1.0]).frame for m in (model, model.fit(train)))
    assert given.equals(fitted)

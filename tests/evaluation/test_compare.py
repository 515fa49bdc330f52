import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import econllm as el
from econllm.errors import DataError, OptionError
from econllm.evaluation.multiple import holm


@pytest.fixture(scope="module")
def parts(wage_panel):
    return wage_panel.split([0.7, 0.1, 0.2], seed=0)


@pytest.fixture(scope="module")
def fitted(parts):
    train, _, _ = parts
    return {
        "Empirical": el.Empirical().fit(train),
        "Printed": el.Empirical(normalization="printed").fit(train),
        "MNL": el.MNLogit("occupation ~ lag(occupation) + educ", penalty="l2", alpha=1e-3).fit(train),
    }


def test_perplexities_are_those_of_the_results(fitted, parts):
    test = parts[2]
    frame = el.compare(fitted, test).frame
    for name, result in fitted.items():
        own = result.perplexity(test)
        assert frame.loc[name, "perplexity"] == pytest.approx(own.value, rel=1e-12)
        assert frame.loc[name, "std_error"] == pytest.approx(own.std_error, rel=1e-12)
        by_history = result.perplexity(test, by="history")
        assert frame.loc[name, "history"] == pytest.approx(by_history.loc["with a history", "perplexity"], rel=1e-12)
        hits = result.predict(test).to_numpy() == test.to_frame()["occupation"].to_numpy()
        assert frame.loc[name, "accuracy"] == pytest.approx(hits.mean())


def test_differences_are_paired_and_clustered_by_person(fitted, parts):
    test = parts[2]
    frame = el.compare(fitted, test).frame
    gap = fitted["MNL"].log_likelihood(test) - fitted["Empirical"].log_likelihood(test)
    sums = gap.groupby(test.person_ids).agg(["sum", "size"])
    mean = gap.mean()
    residual = sums["sum"] - mean * sums["size"]
    persons = len(sums)
    error = np.sqrt(persons / (persons - 1) * (residual**2).sum()) / len(gap)
    row = frame.loc["MNL"]
    assert row["difference"] == pytest.approx(mean, rel=1e-12)
    assert row["difference_std_error"] == pytest.approx(error, rel=1e-12)
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(mean / error), persons - 1), rel=1e-9)
    assert row["ratio"] == pytest.approx(row["perplexity"] / frame.loc["Empirical", "perplexity"], rel=1e-12)
    half = stats.t.ppf(0.975, persons - 1) * error
    assert row["difference_lower"] == pytest.approx(mean - half, rel=1e-9)


def test_the_reference_can_be_chosen_and_is_equal_to_itself(fitted, parts):
    frame = el.compare(fitted, parts[2], reference="MNL").frame
    assert frame.loc["MNL", "difference"] == 0
    assert frame.loc["MNL", "ratio"] == 1
    assert frame.loc["MNL", "p_value"] == 1
    assert frame.loc["Empirical", "difference"] < 0


def test_improper_models_are_flagged_and_never_ranked_or_compared(fitted, parts):
    table = el.compare({"Printed": fitted["Printed"], "MNL": fitted["MNL"]}, parts[2])
    assert table.reference == "MNL"
    assert np.isnan(table.frame.loc["Printed", "rank"])
    assert table.frame.loc["MNL", "rank"] == 1
    assert table.frame.loc["Printed", "mass"] > 1.01
    text = str(table)
    assert "Printed (improper)" in text
    assert "not ranked or compared" in " ".join(text.split())
    with pytest.raises(OptionError, match="is improper"):
        el.compare(fitted, parts[2], reference="Printed")


def test_groups_are_compared_each_on_its_own_rows(fitted, parts):
    test = parts[2]
    frame = el.compare(fitted, test, by="married").frame
    assert list(frame.index.names) == ["married", "model"]
    own = fitted["MNL"].perplexity(test, by="married")
    assert frame.loc[(1, "MNL"), "perplexity"] == pytest.approx(own.loc[1, "perplexity"], rel=1e-12)
    history = el.compare(fitted, test, by="history").frame
    assert np.isnan(history.loc[("first record", "MNL"), "history"])
    assert "first record" in str(el.compare(fitted, test, by="history"))


def test_both_counts_of_rows_are_printed(fitted, parts):
    text = str(el.compare(fitted, parts[2]))
    assert "872 transitions of 109 persons, 763 with a history" in " ".join(text.split())


def test_every_export_is_written(fitted, parts, tmp_path):
    table = el.compare(fitted, parts[2])
    table.to_latex(tmp_path / "t.tex")
    table.to_html(tmp_path / "t.html")
    table.to_markdown(tmp_path / "t.md")
    table.plot(tmp_path / "t.png")
    table.to_word(tmp_path / "t.docx")
    assert (tmp_path / "t.docx").stat().st_size > 10_000
    assert "siunitx" in table.to_latex(siunitx=True, landscape=True)
    assert "threeparttable" in (tmp_path / "t.tex").read_text()
    assert "<table" in (tmp_path / "t.html").read_text()
    assert "| MNL" in (tmp_path / "t.md").read_text()
    picture = matplotlib.image.imread(tmp_path / "t.png")
    assert picture.shape[0] > 100
    assert picture.std() > 0.05


def test_models_that_predict_different_rows_are_refused():
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"y": rng.choice(["a", "b"], 60), "x": rng.normal(size=60), "z": rng.normal(size=60)})
    df.loc[:4, "z"] = np.nan
    full = el.MNLogit("y ~ x").fit(df)
    some = el.MNLogit("y ~ z", missing="drop").fit(df)
    with pytest.raises(DataError, match=r"'full' predicts 60 and 'some' 55 of the 60 test rows"):
        el.compare({"full": full, "some": some}, df)
    assert el.compare({"some": some}, df).frame.loc["some", "parameters"] == 2


def test_models_of_different_choice_sets_are_refused():
    df = pd.DataFrame({"y": list("abab"), "x": [0.0, 1, 1, 0], "v": list("uvuv")})
    a, b = (el.MNLogit(f"{y} ~ x", penalty="l2", alpha=0.1).fit(df) for y in ("y", "v"))
    with pytest.raises(DataError, match="occupations, or different ones"):
        el.compare({"a": a, "b": b}, df)


def test_empty_test_sets_and_wrong_models_are_refused(fitted, parts):
    with pytest.raises(DataError, match="test sample has no rows"):
        el.compare(fitted, parts[2].subset([]))
    with pytest.raises(OptionError, match="models is empty"):
        el.compare({}, parts[2])
    with pytest.raises(OptionError, match="not a result: fit it first"):
        el.compare({"MNL": el.MNLogit("occupation ~ educ")}, parts[2])
    with pytest.raises(OptionError, match="Did you mean 'Empirical'"):
        el.compare(fitted, parts[2], reference="Emprical")


def test_data_frames_are_compared_row_by_row():
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"y": rng.choice(["a", "b", "c"], 90), "x": rng.normal(size=90)})
    fits = {"constant": el.MNLogit("y ~ 1").fit(df), "x": el.MNLogit("y ~ x").fit(df)}
    table = el.compare(fits, df)
    text = " ".join(str(table).split())
    assert "Test sample: 90 rows; 3 outcomes. Training sample: 90 rows. Standard errors" in text
    assert "This fitted model: for independent rows" in text
    assert "history" not in text
    assert "person" not in text
    assert table.frame.loc["x", "difference"] > 0
    by = el.compare(fits, df.assign(g=[1, "a", None] * 30), by="g").frame
    assert by.index.get_level_values("g").unique().tolist() == [1, "a"]


def test_columns_of_a_data_frame_come_before_words_with_a_meaning():
    rng = np.random.default_rng(2)
    df = pd.DataFrame({"y": rng.choice(["a", "b"], 90), "x": rng.normal(size=90), "person": np.repeat(range(30), 3)})
    fits = {"x": el.MNLogit("y ~ x").fit(df)}
    renamed = df.rename(columns={"person": "pid"})
    assert fits["x"].perplexity(df).persons == 30
    assert fits["x"].perplexity(df).std_error == fits["x"].perplexity(renamed, cluster="pid").std_error
    assert "90 rows in 30 clusters" in " ".join(str(el.compare(fits, df)).split())
    history = df.assign(history=np.arange(90) % 2)
    assert fits["x"].perplexity(history, by="history").index.tolist() == [0, 1]
    with pytest.raises(DataError, match="needs careers"):
        fits["x"].perplexity(df, by="history")


def test_one_column_at_a_time(fitted, parts):
    with pytest.raises(OptionError, match=r"cluster=\['black'\] must be the name of one column"):
        el.compare(fitted, parts[2], cluster=["black"])
    with pytest.raises(OptionError, match="models are a list"):
        el.compare([fitted["MNL"]], parts[2])
    frame = parts[2].to_frame().assign(gone=np.nan)
    fits = {"MNL": el.MNLogit("occupation ~ educ", penalty="l2", alpha=0.1).fit(frame)}
    with pytest.raises(DataError, match="'gone' is missing in every row"):
        el.compare(fits, frame, by="gone")


def test_size_of_the_paired_test_when_models_are_equally_good():
    """Two models of equal expected loss that are not identical: the test must reject about five times in a hundred."""
    from econllm.metrics import mean_score

    rng = np.random.default_rng(0)
    draws, persons, records = 2000, 60, 8
    person = np.repeat(np.arange(persons), records)
    rejected = 0
    for _ in range(draws):
        gap = np.repeat(rng.normal(size=persons), records) + rng.normal(size=persons * records)
        rejected += mean_score(gap, person).pvalue < 0.05
    # Two Monte Carlo standard errors are one point at this number of draws.
    assert 0.035 < rejected / draws < 0.065


@pytest.fixture(scope="module")
def several(parts):
    train, valid, _ = parts
    models = {
        "Empirical": el.Empirical(),
        "Two": el.Empirical(order=2),
        "Printed": el.Empirical(normalization="printed"),
        "MNL": el.MNLogit("occupation ~ lag(occupation) + educ", penalty="l2", alpha=1e-3),
    }
    return {name: model.fit(train, validation=valid) for name, model in models.items()}


def test_p_values_are_adjusted_for_the_number_of_models_and_groups(several, parts):
    test = parts[2]
    frame = el.compare(several, test, by="married").frame
    tested = frame.index.get_level_values("model").isin(["Two", "MNL"])
    assert np.allclose(frame["p_adjusted"][tested], holm(frame["p_value"][tested].to_numpy()))
    assert frame["p_adjusted"][~tested].isna().all()  # the reference, and the improper model
    sharper = el.compare(several, test, by="married", adjust="romano-wolf").frame
    assert (sharper["p_adjusted"][tested] <= frame["p_adjusted"][tested] + 0.02).all()
    plain = el.compare(several, test, adjust=None)
    assert plain.frame.loc["MNL", "p_adjusted"] == plain.frame.loc["MNL", "p_value"]
    assert "method of" not in str(plain)
    assert "the method of Romano and Wolf" in " ".join(str(el.compare(several, test, adjust="romano-wolf")).split())


def test_romano_wolf_is_a_test_of_the_differences_to_the_reference(several, parts):
    """With one model to compare, the draws give the p-value of the paired test."""
    two = {name: several[name] for name in ("Empirical", "MNL")}
    frame = el.compare(two, parts[2], adjust="romano-wolf", draws=20_000).frame
    assert frame.loc["MNL", "p_adjusted"] == pytest.approx(frame.loc["MNL", "p_value"], abs=0.015)


def test_the_best_set_leaves_out_improper_models(several, parts):
    frame = el.compare(several, parts[2]).frame
    assert np.isnan(frame.loc["Printed", "set_p_value"])
    best = frame["perplexity"][frame["rank"] == 1].index[0]
    assert frame.loc[best, "set_p_value"] == 1
    assert frame["set_p_value"].dropna().between(0, 1).all()


def test_pairs_are_mirrored_and_tested_as_a_family(several, parts):
    table = el.compare(several, parts[2])
    pairs = table.pairs
    assert len(pairs) == 6  # three models that may be compared
    forth, back = pairs.loc[("Two", "MNL")], pairs.loc[("MNL", "Two")]
    assert forth["difference"] == -back["difference"]
    assert forth["p_adjusted"] == back["p_adjusted"]
    once = [("Empirical", "Two"), ("Empirical", "MNL"), ("MNL", "Two")]
    assert np.allclose(pairs.loc[once, "p_adjusted"], holm(pairs.loc[once, "p_value"].to_numpy()))
    assert table.frame.loc["MNL", "difference"] == pairs.loc[("MNL", "Empirical"), "difference"]
    cells = table.wins().to_frame()
    for (a, b), pair in pairs.iterrows():
        word = "tie" if pair["p_adjusted"] >= 0.05 else "win" if pair["difference"] > 0 else "lose"
        assert cells.loc[a, b].endswith(word)
    assert el.compare(several, parts[2], by="married").wins().body[0].title == "married: 0"


def test_validation_rows_pick_a_model(several, parts):
    _, valid, test = parts
    table = el.compare(several, test, validation=valid)
    f = table.frame
    assert f.loc["Two", "validation"] == pytest.approx(several["Two"].perplexity(valid).value)
    best = f["validation"].drop("Printed").idxmin()
    assert f["picked"].tolist() == [name == best for name in f.index]
    assert f"Validation rows pick {best}" in " ".join(str(table).split())
    assert not el.compare(several, test).frame["picked"].any()


def test_survey_weights_beside_unweighted_numbers():
    df = el.datasets.simulate_careers(80, 4, seed=5).to_frame()
    df["w"] = 1.0 + df["person"] % 3
    panel = el.CareerPanel(df, "person", "year", "occupation", dynamic=["educ"], weights="w")
    train, test = panel.split([0.6, 0.4], seed=0)
    fitted = {"E": el.Empirical().fit(train), "T": el.Empirical(order=2).fit(train)}
    both = el.compare(fitted, test, weights="both").frame
    plain, weighted = el.compare(fitted, test).frame, el.compare(fitted, test, weights=True).frame
    assert both["perplexity"].equals(plain["perplexity"])
    assert both["weighted"].to_numpy() == pytest.approx(weighted["perplexity"].to_numpy(), rel=1e-12)
    assert both["weighted_std_error"].to_numpy() == pytest.approx(weighted["std_error"].to_numpy(), rel=1e-12)
    assert "Survey-" in str(el.compare(fitted, test, weights="both"))
    boot = el.bootstrap({"E": el.Empirical(), "T": el.Empirical(order=2)}, train, test, replications=3)
    persons = test.to_frame().groupby("person")["w"].first().to_numpy()
    expected = np.sqrt(boot.components("E", persons=persons)["T"].training)
    found = el.compare(fitted, test, weights=True, bootstrap=boot).frame.loc["T", "difference_training_std_error"]
    assert found == pytest.approx(expected, rel=1e-9)


def test_words_of_careers_define_groups(several, parts):
    test = parts[2]
    frame = el.compare({"E": several["Empirical"]}, test, by="move").frame
    df = test.to_frame()
    last = df.groupby("nr")["occupation"].shift()
    scores = several["Empirical"].log_likelihood(test)
    stays = np.exp(-scores[last == df["occupation"]].mean())
    assert frame.loc[("stayer", "E"), "perplexity"] == pytest.approx(stays)
    assert set(frame.index.get_level_values(0)) == {"first record", "stayer", "mover"}
    decades = el.compare({"E": several["Empirical"]}, test, by="decade").frame
    assert decades.index.get_level_values(0).tolist() == ["1980s"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adjust": "bonferroni"}, "adjust='bonferroni' is not an option"),
        ({"weights": "all"}, "weights='all' is not an option"),
        ({"draws": 10}, "draws=10"),
        ({"seed": "a"}, "seed='a' is not a seed"),
    ],
)
def test_options_are_checked(fitted, parts, options, message):
    with pytest.raises(OptionError, match=message):
        el.compare(fitted, parts[2], **options)


def test_figures_of_the_sources_are_drawn(several, parts, tmp_path):
    train, _, test = parts
    models = {"Empirical": el.Empirical(), "Two": el.Empirical(order=2)}
    boot = el.bootstrap(models, train, test, replications=4, seeds=2)
    table = el.compare({name: several[name] for name in models}, test, bootstrap=boot)
    table.plot_decomposition(tmp_path / "d.png")
    assert matplotlib.image.imread(tmp_path / "d.png").std() > 0.02
    table.plot_decomposition(tmp_path / "p.svg", of="perplexity")
    with pytest.raises(OptionError, match="of='score' is not an option"):
        table.plot_decomposition(of="score")
    with pytest.raises(OptionError, match="plot_decomposition needs refits"):
        el.compare(several, test).plot_decomposition()


def test_one_cluster_says_nothing_about_which_model_is_the_best(several, parts):
    test = parts[2]
    frame = el.compare(several, test.subset(test.persons[:1])).frame
    assert frame["set_p_value"].isna().all()
    assert frame["std_error"].isna().all()
    cells = el.compare(several, test.subset(test.persons[:1])).wins().to_frame().to_numpy().ravel()
    assert not any(word in str(cell) for cell in cells for word in ("win", "lose", "tie"))


def test_an_adjusted_p_value_is_never_the_smaller_one(several, parts):
    test = parts[2]
    few = test.subset(test.persons[:4])
    frame = el.compare(several, few, by="married", adjust="romano-wolf").frame.dropna(subset=["p_adjusted"])
    assert (frame["p_adjusted"] >= frame["p_value"]).all()


class Rounded(el.Results):
    """A result whose scores differ from another's by rounding."""

    def __init__(self, result):
        self.result, self.model, self.choices, self.info = result, result.model, result.choices, result.info

    def log_proba(self, data):
        return self.result.log_proba(data) - 1e-15

    def summary(self):
        return self.result.summary()

    def _state(self):
        return {}

    @classmethod
    def _from_state(cls, *state):
        raise NotImplementedError


def test_rounding_is_no_difference(several, parts):
    same = {"A": several["MNL"], "B": Rounded(several["MNL"])}
    table = el.compare(same, parts[2])
    assert table.frame.loc["B", "p_value"] == 1
    assert table.frame.loc["B", "set_p_value"] == 1
    assert "0.000 tie" in str(table.wins())


def test_names_must_differ_as_text_and_references_may_be_numbers(several, parts):
    with pytest.raises(OptionError, match="'1' is the name of two models"):
        el.compare({1: several["MNL"], "1": several["Two"]}, parts[2])
    assert el.compare({1: several["MNL"], 2: several["Two"]}, parts[2], reference=2).reference == "2"


def test_validation_rows_are_weighted_as_the_others_and_the_same_for_all():
    df = el.datasets.simulate_careers(80, 4, seed=5).to_frame()
    df["w"] = 1.0 + df["person"] % 3
    panel = el.CareerPanel(df, "person", "year", "occupation", dynamic=["educ"], weights="w")
    train, valid, test = panel.split([0.5, 0.2, 0.3], seed=0)
    fitted = {"E": el.Empirical().fit(train), "T": el.Empirical(order=2).fit(train)}
    frame = el.compare(fitted, test, weights=True, validation=valid).frame
    assert frame.loc["E", "validation"] == pytest.approx(fitted["E"].perplexity(valid, weights=True).value)
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"y": rng.choice(["a", "b"], 60), "x": rng.normal(size=60), "z": rng.normal(size=60)})
    fits = {"x": el.MNLogit("y ~ x").fit(data), "z": el.MNLogit("y ~ z", missing="drop").fit(data)}
    with pytest.raises(DataError, match="'x' predicts 60 and 'z' 55"):
        el.compare(fits, data, validation=data.assign(z=data["z"].where(data.index > 4)))


@pytest.mark.parametrize("dtype", ["Int64", "string", "boolean"])
def test_groups_of_nullable_types(dtype):
    rng = np.random.default_rng(3)
    df = pd.DataFrame({"y": rng.choice(["a", "b"], 60), "x": rng.normal(size=60)})
    group = pd.Series([1, 0, None] * 20).astype("boolean" if dtype == "boolean" else "Int64").astype(dtype)
    fits = {"x": el.MNLogit("y ~ x").fit(df)}
    table = el.compare(fits, df.assign(g=group), by="g")
    assert len(table.frame) == 2
    assert "20 rows in which g is missing are in no group" in " ".join(str(table).split())


def test_groups_may_be_called_model():
    rng = np.random.default_rng(4)
    df = pd.DataFrame({"y": rng.choice(["a", "b"], 60), "x": rng.normal(size=60), "model": ["T", "S"] * 30})
    fits = {"x": el.MNLogit("y ~ x").fit(df), "1": el.MNLogit("y ~ 1").fit(df)}
    assert len(el.compare(fits, df, by="model").frame) == 4


def test_a_column_that_is_a_word_of_its_own_is_refused():
    df = el.datasets.simulate_careers(20, 3, seed=6).to_frame()
    panel = el.CareerPanel(df.assign(decade="x"), "person", "year", "occupation", static=["decade"])
    fits = {"E": el.Empirical().fit(panel)}
    with pytest.raises(OptionError, match="by='decade' could mean the panel's column"):
        el.compare(fits, panel, by="decade")


def test_rows_of_weight_zero_do_not_count():
    df = el.datasets.simulate_careers(40, 3, seed=7).to_frame()
    first = ~df["person"].duplicated()
    panel = el.CareerPanel(df.assign(w=first.astype(float)), "person", "year", "occupation", weights="w")
    frame = el.compare({"E": el.Empirical().fit(panel)}, panel, weights=True).frame
    assert np.isnan(frame.loc["E", "history"])
    assert np.isfinite(frame.loc["E", "perplexity"])


def test_wins_need_two_models(fitted, parts):
    with pytest.raises(OptionError, match="two models that may be compared"):
        el.compare({"MNL": fitted["MNL"]}, parts[2]).wins()


def test_sources_of_models_that_were_refitted_are_drawn(several, parts):
    train, _, test = parts
    boot = el.bootstrap({"Two": el.Empirical(order=2), "Empirical": el.Empirical()}, train, test, replications=3)
    table = el.compare(several, test, bootstrap=boot)
    labels = [label.get_text() for label in table.plot_decomposition().axes[0].get_yticklabels()]
    assert labels == ["Two"]
    labels = [label.get_text() for label in table.plot_decomposition(of="perplexity").axes[0].get_yticklabels()]
    assert labels == ["Empirical", "Two"]
    apart = el.compare(several, test, bootstrap=boot, reference="MNL")
    with pytest.raises(OptionError, match="no difference to draw"):
        apart.plot_decomposition()


def test_with_few_persons_romano_and_wolf_are_not_sharper_than_holm(several, parts):
    few = parts[2].subset(parts[2].persons[:4])
    frame = el.compare(several, few, adjust="romano-wolf").frame
    tested = frame["p_adjusted"].notna()
    assert (frame.loc[tested, "p_adjusted"] >= holm(frame.loc[tested, "p_value"].to_numpy()) - 1e-12).all()


class Blind(Rounded):
    """A result that gives probability zero to an occupation."""

    def __init__(self, result, occupation):
        super().__init__(result)
        self.occupation = occupation

    def log_proba(self, data):
        out = self.result.log_proba(data).copy()
        out[:, self.occupation] = -np.inf
        return out


def test_models_that_fail_on_different_rows_neither_win_nor_lose(several, parts):
    both = {"A": Blind(several["MNL"], 0), "B": Blind(several["MNL"], 1), "C": several["MNL"]}
    cells = el.compare(both, parts[2], reference="C").wins().to_frame()
    assert cells.loc["A", "B"] == cells.loc["B", "A"] == "."
    assert cells.loc["C", "A"] == "+\u221e win"
    assert cells.loc["A", "C"] == "\u2212\u221e lose"


def test_persons_of_weight_zero_are_not_counted():
    df = el.datasets.simulate_careers(40, 3, seed=7).to_frame()
    panel = el.CareerPanel(df.assign(w=(df["person"] % 2).astype(float)), "person", "year", "occupation", weights="w")
    text = " ".join(str(el.compare({"E": el.Empirical().fit(panel)}, panel, weights=True)).split())
    assert f"{int((df['person'] % 2).sum()):,} transitions of 20 persons" in text

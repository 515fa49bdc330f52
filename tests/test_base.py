"""What every model promises: specifications, rows, weights, perplexity."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from econllm.base import FitInfo, Results
from econllm.choices import ChoiceSet
from econllm.empirical import Empirical
from econllm.errors import DataError, InfiniteScoreWarning, MissingColumnError, OptionError
from econllm.metrics import perplexity
from econllm.multinomial import MNLogit
from econllm.panel import CareerPanel
from econllm.sample import fit_weights, read_sample
from econllm.tables import Table


class Certain(Results):
    """Puts all probability on one outcome."""

    def __init__(self, choices: ChoiceSet, outcome: str | None = None) -> None:
        self.model, self.choices, self._outcome = Empirical(), choices, outcome
        self.info = FitInfo(1, 1, 1, 0.0, 0, 0.0)

    @property
    def outcome(self) -> str | None:
        return self._outcome

    def log_proba(self, data) -> np.ndarray:
        out = np.full((len(data), len(self.choices)), -np.inf)
        out[:, 0] = 0.0
        return out

    def summary(self) -> Table:
        return Table(["x"], [])

    def _state(self) -> dict:
        return {}

    @classmethod
    def _from_state(cls, model, choices, info, state) -> Results:
        return cls(choices)


# Specifications


@pytest.mark.parametrize(
    "model",
    [
        Empirical(),
        Empirical(smoothing="validation", order=2, two_stage=True),
        MNLogit("y ~ x"),
        MNLogit("y ~ x", penalty="l2", alpha=0.5, base="b", tol=1e-4),
    ],
)
def test_repr_rebuilds_the_specification(model) -> None:
    names = {"Empirical": Empirical, "MNLogit": MNLogit}
    assert eval(repr(model), names) == model
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(model) == hash(model.replace())


def test_replace() -> None:
    assert Empirical().replace(order=2) == Empirical(order=2)
    with pytest.raises(OptionError, match=r"Empirical has no option 'ordr'. Did you mean 'order'"):
        Empirical().replace(ordr=2)
    with pytest.raises(OptionError, match="order=3 is not an option"):
        Empirical().replace(order=3)


# Rows


def test_sample_of_a_panel_and_of_a_frame(panel, careers) -> None:
    rows = read_sample(panel, None, panel.choices)
    assert rows.index.tolist() == list("abcdefgh")
    assert rows.first.tolist() == [True, False, False, False, True, False, False, True]
    assert rows.clusters.tolist() == [1, 1, 1, 1, 2, 2, 2, 3]
    assert rows.take(np.array([0, 7])).weights.tolist() == pytest.approx([0.5, 3.0])
    # The same rows in another order of the choices.
    turned = ChoiceSet(["nurse", "cook", "clerk"])
    assert [turned.codes[i] for i in read_sample(panel, None, turned).outcome] == panel.to_frame()["job"].tolist()
    frame = read_sample(careers, "job", turned)
    assert [turned.codes[i] for i in frame.outcome] == careers["job"].tolist()
    assert len(np.unique(frame.clusters)) == 8


def test_sample_refuses(careers) -> None:
    jobs = ChoiceSet(["clerk", "cook"])
    with pytest.raises(DataError, match="'nurse'"):
        read_sample(careers, "job", jobs)
    with pytest.raises(MissingColumnError, match=r"'jobb' is not in the data frame. Did you mean 'job'"):
        read_sample(careers, "jobb", jobs)
    with pytest.raises(DataError, match=r"outcome 'job' is missing in 1 of 8 rows, first at index 'a'"):
        read_sample(careers.assign(job=careers["job"].where(careers.index != "a")), "job", jobs)
    with pytest.raises(DataError, match="give a CareerPanel, not a data frame"):
        read_sample(careers, None, jobs)
    with pytest.raises(DataError, match="data is a list"):
        read_sample([1], "job", jobs)


# Weights


def test_weights_by_person_by_row_and_with_survey_weights(panel) -> None:
    by_person = fit_weights(panel, pd.Series({3: 1.0, 1: 2.0, 2: 4.0, 99: 7.0}), False)
    assert by_person == pytest.approx(np.array([2, 2, 2, 2, 4, 4, 4, 1]) / 21 * 8)
    by_row = fit_weights(panel, pd.Series(np.arange(8.0), index=list("hgfedcba")), False)
    assert by_row == pytest.approx(np.arange(8)[::-1] / 3.5)
    both = fit_weights(panel, pd.Series({1: 2.0, 2: 4.0, 3: 1.0}), True)
    assert both == pytest.approx(np.array([2, 2, 2, 2, 8, 8, 8, 6]) * 8 / 38)
    assert fit_weights(panel, None, False) is None


def test_weights_of_rows_that_are_labelled_like_persons() -> None:
    df = pd.DataFrame({"id": [1, 1, 2], "t": [0, 1, 0], "job": ["a", "b", "a"]}, index=[1, 2, 3])
    panel = CareerPanel(df, "id", "t", "job")
    assert fit_weights(panel, pd.Series({1: 1.0, 2: 2.0, 3: 3.0}), False).tolist() == [0.5, 1.0, 1.5]
    assert fit_weights(panel, pd.Series({1: 1.0, 2: 4.0}), False).tolist() == [0.5, 0.5, 2.0]


def test_weights_refused(panel) -> None:
    with pytest.raises(DataError, match="weights is a ndarray; give a pandas Series indexed by person or by row"):
        fit_weights(panel, np.ones(8), False)
    with pytest.raises(DataError, match="2 of 3 persons are not in its index, first 2, 3"):
        fit_weights(panel, pd.Series({1: 1.0}), False)
    with pytest.raises(DataError, match="holds duplicates"):
        fit_weights(panel, pd.Series([1.0, 1.0], index=[1, 1]), False)
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(DataError, match="finite, not negative, and not all zero"):
            fit_weights(panel, pd.Series({1: 1.0, 2: 1.0, 3: bad}), False)
    with pytest.raises(DataError, match="not all zero"):
        fit_weights(panel, pd.Series({1: 0.0, 2: 0.0, 3: 0.0}), False)
    with pytest.raises(OptionError, match="weighted=True needs survey weights"):
        fit_weights(panel.to_frame(), None, True)


def test_weights_that_cancel_each_other(careers, roles) -> None:
    careers.loc[careers["id"] != 3, "weight"] = 0.0
    panel = CareerPanel(careers, **roles)
    with pytest.raises(DataError, match="every row has weight zero"):
        fit_weights(panel, pd.Series({1: 1.0, 2: 1.0, 3: 0.0}), True)


# Perplexity


def test_perplexity_by_groups_clusters_and_weights(panel) -> None:
    fitted = Empirical().fit(panel)
    scores = fitted.log_likelihood(panel)
    person = np.array([1, 1, 1, 1, 2, 2, 2, 3])
    found = fitted.perplexity(panel)
    assert found == replace(perplexity(scores.to_numpy(), person), first_records=3)
    assert (found.n, found.persons) == (8, 3)
    assert "8 rows, 3 of them first records" in str(found)

    groups = fitted.perplexity(panel, by="history")
    assert groups.index.tolist() == ["first record", "with a history"]
    assert groups["n"].tolist() == [3, 5]
    assert groups["persons"].tolist() == [3, 2]
    later = scores[["b", "c", "d", "f", "g"]].to_numpy()
    assert groups.loc["with a history", "perplexity"] == pytest.approx(np.exp(-later.mean()))

    assert fitted.perplexity(panel, by="sex").index.tolist() == ["f", "m"]
    assert fitted.perplexity(panel, cluster="region").persons == 3
    weights = np.array([1, 1, 1, 1, 2, 2, 2, 6.0])
    assert fitted.perplexity(panel, weights=True).value == pytest.approx(np.exp(-np.average(scores, weights=weights)))


def test_groups_of_several_types_and_missing_ones(careers) -> None:
    careers["kind"] = pd.Series([1, "a", 1, "a", None, 1, 1, "a"], index=careers.index, dtype=object)
    found = Certain(ChoiceSet(["clerk", "cook", "nurse"]), "job")
    with pytest.warns(InfiniteScoreWarning):
        table = found.perplexity(careers, by="kind")
    assert table.index.tolist() == [1, "a"]
    assert table["n"].sum() == 7


def test_perplexity_refused(panel, careers) -> None:
    fitted = Empirical().fit(panel)
    with pytest.raises(MissingColumnError, match=r"by='sexx' is no column. Did you mean 'sex'"):
        fitted.perplexity(panel, by="sexx")
    with pytest.raises(MissingColumnError, match=r"cluster='regin' is no column. Did you mean 'region'"):
        fitted.perplexity(panel, cluster="regin")
    with pytest.raises(DataError, match="no rows"):
        fitted.perplexity(panel.subset([]))
    with pytest.raises(OptionError, match="weights=True needs survey weights"):
        MNLogit("job ~ educ", penalty="l2", alpha=0.1).fit(careers).perplexity(careers, weights=True)
    with pytest.raises(OptionError, match="between 0 and 1"):
        fitted.perplexity(panel, level=1.5)


def test_probability_zero_is_said_aloud(panel) -> None:
    certain = Certain(panel.choices)
    with pytest.warns(InfiniteScoreWarning, match="probability zero to what happened in 4 of 8 rows"):
        found = certain.perplexity(panel)
    assert found.value == np.inf
    assert certain.log_likelihood(panel).tolist().count(-np.inf) == 4


def test_labelled_predictions(panel) -> None:
    fitted = Empirical().fit(panel)
    proba = fitted.predict_proba(panel)
    assert proba.index.equals(panel.index)
    assert proba.columns.tolist() == list(panel.choices.codes)
    best = fitted.predict(panel)
    assert best.name == "job"
    assert best.tolist() == proba.idxmax(axis=1).tolist()
    assert repr(fitted) == "<EmpiricalResults of Empirical(): 8 rows, 3 outcomes>"
    assert fitted._repr_html_().startswith("<")


# What a review found


def test_row_weights_of_the_whole_data_are_not_read_as_person_weights() -> None:
    df = pd.DataFrame({"id": np.repeat(range(6), 3), "t": [0, 1, 2] * 6, "job": list("abc") * 6})
    weights = pd.Series(np.arange(1.0, 19.0), index=df.index)
    whole = CareerPanel(df, "id", "t", "job")
    part = whole.subset([0, 1, 2])
    with pytest.raises(DataError, match=r"could mean persons or rows.*weights\.loc\[panel\.index\]"):
        fit_weights(part, weights, False)
    rows = fit_weights(part, weights.loc[part.index], False)
    assert np.allclose(rows / rows[0], np.arange(1.0, 10.0))
    by_person = fit_weights(part, pd.Series([1.0, 2.0, 3.0]), False)
    assert np.allclose(by_person / by_person[0], np.repeat([1.0, 2.0, 3.0], 3))


def test_person_weights_of_a_resample_go_by_the_person_in_the_data() -> None:
    df = pd.DataFrame({"id": np.repeat(range(4), 2), "t": [0, 1] * 4, "job": list("ab") * 4})
    drawn = CareerPanel(df, "id", "t", "job").resample(seed=0)
    weights = pd.Series([1.0, 2.0, 3.0, 4.0])
    found = fit_weights(drawn, weights, False)
    expected = weights.loc[drawn.origin_ids].to_numpy()
    assert np.allclose(found, expected / expected.mean())


def test_weights_of_text_are_refused(panel) -> None:
    with pytest.raises(DataError, match="must be numbers"):
        fit_weights(panel, pd.Series({1: "a", 2: "b", 3: "c"}), False)


def test_numpy_options_give_a_repr_that_rebuilds() -> None:
    model = Empirical(smoothing=np.float64(0.25))
    assert repr(model) == "Empirical(smoothing=0.25)"
    assert eval(repr(model)) == model


def test_summaries_of_data_frames_speak_of_rows_only() -> None:
    df = pd.DataFrame({"y": list("abab"), "x": [0.0, 1, 1, 0]})
    text = str(MNLogit("y ~ x", penalty="l2", alpha=0.1).fit(df))
    assert "Rows:" in text
    assert "Persons" not in text
    assert "First records" not in text


def test_panels_made_apart_are_told_how_to_share_their_choices() -> None:
    titles = {1: "Clerk", 2: "Cook", 3: "Nurse"}
    df = pd.DataFrame({"id": [1, 1, 2, 2], "t": [0, 1, 0, 1], "job": [1, 2, 2, 3]})
    apart = [CareerPanel(df[df["id"] == i], "id", "t", "job", titles=titles) for i in (1, 2)]
    with pytest.raises(DataError, match=r"1 rows? hold.* 3\. .*titles=ChoiceSet\.from_titles\(titles\)"):
        Empirical().fit(apart[0]).perplexity(apart[1])
    shared = [CareerPanel(df[df["id"] == i], "id", "t", "job", titles=ChoiceSet.from_titles(titles)) for i in (1, 2)]
    assert np.isfinite(Empirical().fit(shared[0]).perplexity(shared[1]).value)

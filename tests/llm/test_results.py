"""What a result says about itself, and how it stands beside other models."""

import pickle

import numpy as np
import pytest
import torch

import econllm as el
from econllm.errors import DataError, OptionError
from tests.career.samples import panel
from tests.llm.samples import folder, frame

FORMULA = "tone ~ sentence"
QUICK = el.Training(epochs=2, batch=4, learning_rate=0.01)


@pytest.fixture(scope="module")
def data():
    return panel(6)


@pytest.fixture(scope="module")
def shelf(data):
    return el.LLM(folder()).fit(data)


@pytest.fixture(scope="module")
def raw(data):
    return el.LLM(folder(), normalize="raw").fit(data)


@pytest.fixture(scope="module")
def tuned(data):
    return el.LLM(folder(), tuning="full", training=QUICK, max_tokens=120).fit(data, seed=0)


def facts(fit):
    return {fact.label: fact.value for fact in fit.summary().facts}


def test_the_summary_of_a_model_off_the_shelf(shelf, data):
    found = facts(shelf)
    assert found["Specification"] == repr(shelf.model)
    assert found["Rows"] == len(data)
    assert found["Persons"] == len(data.persons)
    assert found["Weights"] == "float32"
    assert found["Engine"] == "tree"
    assert found["Revision"] == shelf.revision[:12]
    assert found["Title mass"] == shelf.title_mass
    # It has not been evaluated, let alone trained.
    assert not {"Log-likelihood", "Perplexity in sample", "Epochs", "Tokens per second"} & set(found)
    assert "by which probabilities are divided" in str(shelf)
    assert shelf.history is None
    assert np.isnan(shelf.info.log_likelihood)
    assert shelf.info.parameters == 0


def test_the_summary_of_a_trained_model(tuned):
    found = facts(tuned)
    assert found["Parameters trained"] == sum(p.numel() for p in tuned.predictor.decoder.parameters())
    assert found["Epochs"] == "2 of 2, best 2"
    assert found["Tokens per second"] == tuned.tokens_per_second > 0
    assert found["Log-likelihood"] == tuned.info.log_likelihood
    assert found["Texts truncated"] == tuned.info.truncated > 0
    table = tuned.summary()
    assert [row.label for row in table.rows] == ["1", "2"]
    assert "epoch" in str(table)
    for form in (table.to_latex(), table.to_markdown(), table.to_html()):
        assert "Title mass" in form


def test_the_summary_of_a_product(raw):
    assert "which is left as it is" in str(raw)
    assert raw.flags == ("conservative",)


def test_which_rows_are_truncated(tuned, data):
    cut = tuned.truncated(data)
    assert cut.index.equals(data.index)
    assert cut.dtype == bool
    assert cut.mean() == tuned.info.truncated
    assert 0 < cut.mean() < 1
    # Later records are longer texts.
    assert (cut.groupby(data.person_ids).apply(lambda person: person.is_monotonic_increasing)).all()


def test_the_mass_is_a_probability_row_by_row(shelf, raw, data):
    mass = shelf.mass(data)
    assert mass.name == "title_mass"
    assert mass.index.equals(data.index)
    assert ((mass > 0) & (mass < 1)).all()
    # That of the summary is taken after the last row of some texts.
    last = [item.rows[-1] for item in shelf._documents(data).items]
    assert shelf.title_mass == pytest.approx(mass.iloc[last].mean(), rel=1e-5)
    assert np.exp(raw.log_proba(data)).sum(axis=1) == pytest.approx(mass.to_numpy(), rel=1e-6)


def test_the_revision_is_that_of_the_files(shelf):
    assert shelf.revision == shelf.predictor.words.language.files.fingerprint
    assert el.LLM(folder(seed=1)).fit(panel(3)).revision != shelf.revision


def test_a_pickled_result_is_the_result(tuned, shelf, raw, data):
    for fit in (tuned, shelf, raw):
        back = pickle.loads(pickle.dumps(fit))
        # Weights that lie elsewhere in memory may be multiplied in another order.
        assert back.log_proba(data) == pytest.approx(fit.log_proba(data), abs=1e-4)
        assert str(back) == str(fit)


def test_examples_are_not_to_be_given_to_a_prompt_without(shelf, data):
    with pytest.raises(OptionError, match="has no examples to be given again"):
        shelf.with_examples(data)


def test_predictions_of_wrong_data_are_refused(shelf, data):
    with pytest.raises(DataError, match="a DataFrame; give a CareerPanel"):
        shelf.log_proba(frame())
    fit = el.LLM(folder(), formula=FORMULA).fit(frame())
    with pytest.raises(DataError, match="reads texts from a data frame, and data is a CareerPanel"):
        fit.predict_proba(data)
    with pytest.raises(DataError, match="the data to predict have no rows"):
        fit.predict_proba(frame()[:0])


def test_gradients_are_not_recorded(tuned, data):
    with torch.enable_grad():
        tuned.log_proba(data)
        tuned.log_likelihood(data)
    assert all(p.grad is None or not p.grad.any() for p in tuned.predictor.decoder.parameters())


# Beside other models


def test_models_are_compared_and_products_flagged(shelf, raw, tuned, data):
    models = {"Empirical": el.Empirical().fit(data), "LLM": shelf, "product": raw, "tuned": tuned}
    table = el.compare(models, data)
    text = str(table)
    assert "conservative" in text
    assert all(name in text for name in models)
    for name, fit in models.items():
        assert table.frame.loc[name, "perplexity"] == pytest.approx(fit.perplexity(data).value, rel=1e-4)
    assert table.frame["flags"].map(lambda flags: "conservative" in flags).to_dict() == {
        name: name == "product" for name in models
    }
    assert table.frame.loc["product", "mass"] < 0.01
    assert table.frame.loc["product", "rank"] == 4
    assert raw.perplexity(data).value > shelf.perplexity(data).value


def test_the_wage_panel_reads_a_language_model(wage_panel):
    train, test = wage_panel.subset(wage_panel.persons[:3]), wage_panel.subset(wage_panel.persons[3:6])
    fit = el.LLM(folder(), max_tokens=200).fit(train)
    table = el.compare({"Empirical": el.Empirical().fit(train), "LLM": fit}, test)
    assert "LLM" in str(table)
    assert fit.predict_proba(test).sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-12)
    assert table.frame.loc["LLM", "perplexity"] > 1

import maketables
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from maketables.extractors import PluginExtractor, get_extractor

from econllm.base import FitInfo
from econllm.career import CAREERResults
from econllm.datasets import simulate_careers
from econllm.empirical import Empirical, EmpiricalResults
from econllm.ensemble import EnsembleResults
from econllm.llm import EncoderClassifierResults, LLMResults
from econllm.multinomial import MNLogit
from econllm.regtable import MaketablesStatistics

from .samples import Fit, embedding, facts, logit, penalised


def test_the_coefficient_table_has_flat_names_without_colons():
    frame = logit(titles={1: "Clerk", 2: "Cook: all kinds", 3: "Driver"}).__maketables_coef_table__
    assert frame.columns.tolist() == ["b", "se", "t", "p", "ci95l", "ci95u"]
    assert frame.index.nlevels == 1
    assert frame.index.name == "Coefficient"
    assert frame.index[0] == "Cook - all kinds | Intercept"
    assert frame.loc["Driver | educ", ["b", "se", "t"]].tolist() == pytest.approx([-0.2, 0.1, -2])
    assert frame.loc["Driver | educ", "ci95u"] == pytest.approx(-0.2 + 0.1959964)


def test_embeddings_are_left_out():
    assert embedding().__maketables_coef_table__.index.tolist() == [
        "Cook | educ",
        "Driver | educ",
        "Alternative-specific, common to all outcomes | stay()",
    ]


def test_statistics_by_either_packages_names():
    fit = logit()
    assert fit.__maketables_stat__("N") == fit.__maketables_stat__("n") == 1200
    assert type(fit.__maketables_stat__("N")) is int
    assert fit.__maketables_stat__("se_type") == "clustered by person (40 clusters)"
    assert fit.__maketables_stat__("r2") is None
    # A statistic that is missing is not among the usual ones.
    assert fit.__maketables_default_stat_keys__ == ["N", "persons", "ll", "aic", "se_type"]
    labels = fit.__maketables_stat_labels__
    assert set(fit.__maketables_default_stat_keys__) <= set(labels)
    assert labels["N"] == labels["n"] == "Observations"


def test_names_for_readers():
    fit = logit(variables={"educ": "years of schooling", "job": "main job"})
    assert fit.__maketables_depvar__ == "main job"
    assert fit.__maketables_var_labels__ == {
        "Cook | educ": "Cook | years of schooling",
        "Driver | educ": "Driver | years of schooling",
    }


def test_nothing_makes_maketables_take_a_result_for_one_of_statsmodels():
    assert not hasattr(logit(), "bse")
    assert type(get_extractor(logit())) is PluginExtractor
    assert type(get_extractor(Frequencies())) is PluginExtractor


def rows_of(table):
    return {
        row[-1]: [str(cell) for cell in cells] for row, cells in zip(table.df.index, table.df.to_numpy(), strict=True)
    }


def test_maketables_prints_the_table():
    models = [logit(variables={"educ": "years of schooling"}), penalised()]
    table = maketables.ETable(models)
    rows = rows_of(table)
    assert rows["Cook | years of schooling"][0].startswith("0.500")
    assert "(0.100)" in rows["Cook | years of schooling"][0]
    assert "(-)" in rows["Cook | years of schooling"][1]
    assert rows["Observations"] == ["1,200", "1,200"]
    assert rows["Standard errors"][0] == "clustered by person (40 clusters)"
    assert "educ" in table.make(type="tex")


class Frequencies(MaketablesStatistics):
    """A result without coefficients."""

    info = FitInfo(4360, 545, 545, -6478.96, 80, 0.1)


def test_results_without_coefficients_have_statistics():
    fit = Frequencies()
    assert fit.__maketables_coef_table__.empty
    assert fit.__maketables_default_stat_keys__ == ["N", "persons", "ll", "parameters"]
    assert fit.__maketables_stat__("N") == 4360
    assert fit.__maketables_stat__("aic") is None
    # A language model off the shelf is not evaluated on its sample.
    fit.info = FitInfo(10, None, None, float("nan"), 0, 0.1)
    assert fit.__maketables_default_stat_keys__ == ["N", "parameters"]


@pytest.mark.parametrize("type_", ["tex", "typst", "docx", "html"])
def test_maketables_prints_results_without_coefficients_alone_and_beside_others(type_):
    alone = maketables.ETable([Frequencies()])
    assert rows_of(alone) == {
        "Observations": ["4,360"],
        "Persons": ["545"],
        "Log-likelihood": ["-6,478.96"],
        "Parameters": ["80"],
    }
    for models in ([Frequencies()], [Frequencies(), logit()], [logit(), Frequencies()]):
        table = maketables.ETable(models)
        assert rows_of(table)["Observations"] == ["1,200" if isinstance(m, Fit) else "4,360" for m in models]
        assert table.make(type=type_)
    assert rows_of(table)["Cook | educ"][1] == ""


def test_real_results_of_one_and_of_two_stages():
    panel = simulate_careers(150, 4, seed=2)
    one = MNLogit("occupation ~ educ").fit(panel)
    two = MNLogit("occupation ~ lag(occupation) + educ", penalty="l2", alpha=0.01, two_stage=True).fit(panel)
    rows = rows_of(maketables.ETable([one, two]))
    assert rows["Observations"] == [f"{len(panel):,}"] * 2
    assert {name.split(" | ")[0] for name, cells in rows.items() if "| educ" in name and cells[0]} == {
        *panel.choices.titles[1:]
    }
    assert {"Stays", "Moves"} < {name.split(" | ")[0] for name, cells in rows.items() if "| educ" in name and cells[1]}
    last = panel.choices.titles[-1]
    assert rows[f"{last} | educ"][0].startswith(f"{one.params[panel.choices.codes[-1], 'educ']:.3f}")


def test_interactions_keep_their_colon():
    fit = logit()
    fit.coefs = {(2, "educ:black"): np.float64(1)}
    fit.facts = facts()
    assert fit.__maketables_coef_table__.index.tolist() == ["Cook | educ:black"]


@pytest.mark.parametrize(
    "results", [CAREERResults, EmpiricalResults, EncoderClassifierResults, EnsembleResults, LLMResults]
)
def test_every_result_goes_into_the_tables_of_maketables(results):
    assert issubclass(results, MaketablesStatistics)


@pytest.mark.parametrize("first", ["econllm", "statsmodels"])
def test_statistics_share_rows_with_those_of_statsmodels(first):
    frame = pd.DataFrame({"y": [0, 1, 0, 1, 1, 0, 1, 0], "x": [1.0, 3, 2, 2, 4, 1, 1, 3]})
    ols = smf.ols("y ~ x", frame).fit()
    binary = smf.logit("y ~ x", frame).fit(disp=False)
    own = [logit(), Frequencies()]
    models = [*own, ols, binary] if first == "econllm" else [ols, binary, *own]
    place = [models.index(model) for model in (*own, ols, binary)]
    table = maketables.ETable(models)
    names = [row[-1] for row in table.df.index]
    assert len(names) == len(set(names))
    rows = {name: [cells[j] for j in place] for name, cells in rows_of(table).items()}
    assert rows["Observations"] == ["1,200", "4,360", "8", "8"]
    assert float(rows["Log-likelihood"][1].replace(",", "")) == -6478.96
    assert float(rows["Log-likelihood"][3]) == pytest.approx(binary.llf, abs=0.001)
    assert not {"n", "N", "ll", "log_likelihood"} & set(names)


def test_frequencies_beside_a_logit():
    panel = simulate_careers(150, 4, seed=2)
    counts = Empirical().fit(panel)
    rows = rows_of(maketables.ETable([counts, MNLogit("occupation ~ educ").fit(panel)]))
    assert rows["Parameters"][0] == f"{counts.info.parameters:,}"
    assert rows["Log-likelihood"][0] == f"{counts.info.log_likelihood:,.2f}"

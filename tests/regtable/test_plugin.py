import importlib
import sys

import numpy as np
import pytest

from .samples import embedding, facts, logit, penalised


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
    assert fit.__maketables_default_stat_keys__ == ["n", "persons", "log_likelihood", "aic", "se_type"]
    assert set(fit.__maketables_default_stat_keys__) <= set(fit.__maketables_stat_labels__)


def test_names_for_readers():
    fit = logit(variables={"educ": "years of schooling", "job": "main job"})
    assert fit.__maketables_depvar__ == "main job"
    assert fit.__maketables_var_labels__ == {
        "Cook | educ": "Cook | years of schooling",
        "Driver | educ": "Driver | years of schooling",
    }


def test_nothing_makes_maketables_take_a_result_for_one_of_statsmodels():
    assert not hasattr(logit(), "bse")
    assert "maketables" not in sys.modules or importlib.util.find_spec("maketables")


def test_maketables_prints_the_table():
    maketables = pytest.importorskip("maketables")
    from maketables.extractors import PluginExtractor, get_extractor

    models = [logit(variables={"educ": "years of schooling"}), penalised()]
    assert type(get_extractor(models[0])) is PluginExtractor
    frame = maketables.ETable(models).df
    rows = {row[-1]: [str(cell) for cell in cells] for row, cells in zip(frame.index, frame.to_numpy(), strict=True)}
    assert rows["Cook | years of schooling"][0].startswith("0.500")
    assert "(0.100)" in rows["Cook | years of schooling"][0]
    assert "(-)" in rows["Cook | years of schooling"][1]
    assert rows["Observations"] == ["1,200", "1,200"]
    assert rows["Standard errors"][0] == "clustered by person (40 clusters)"
    assert "educ" in maketables.ETable(models).make(type="tex")


def test_interactions_keep_their_colon():
    fit = logit()
    fit.coefs = {(2, "educ:black"): np.float64(1)}
    fit.facts = facts()
    assert fit.__maketables_coef_table__.index.tolist() == ["Cook | educ:black"]

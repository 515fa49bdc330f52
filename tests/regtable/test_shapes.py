import numpy as np
import pytest

from econllm.regtable import table

from .samples import Fit, embedding, facts, logit, penalised, plain_text


def test_equations_stand_side_by_side_under_their_model():
    made = table({"A": logit(), "B": logit(shift=1.0)}, stats=["n"])
    assert [(c.group, c.label) for c in made.columns] == [
        ("A", "Cook"),
        ("A", "Driver"),
        ("B", "Cook"),
        ("B", "Driver"),
    ]
    rows = {row.label: row.cells for row in made.rows if row.label}
    assert rows["educ"] == (0.5, -0.2, 1.5, 0.8)
    assert rows["Observations"] == (1200, None, 1200, None)
    # Under every line of estimates are their standard errors, and the intercept comes last.
    assert [row.label for row in made.rows] == ["educ", "", "black", "", "Intercept", "", "Observations"]
    assert made.rows[1].cells == ("(0.100)",) * 4


def test_a_single_model_needs_no_spanning_heading():
    assert [(c.group, c.label) for c in table([logit()]).columns] == [("", "Cook"), ("", "Driver")]


def test_panels_have_one_column_per_model_and_gaps_where_a_model_has_no_such_coefficient():
    made = table([logit(), penalised()], shape="panels", stats=["n", "outcome_mean"])
    assert [column.label for column in made.columns] == ["(1)", "(2)"]
    assert [panel.title for panel in made.body] == ["Cook", "Driver", "Clerk", ""]
    cook = {row.label: row.cells for row in made.body[0].rows if row.label}
    assert cook == {
        "educ": (0.5, -0.1),
        "black": (0.15, None),
        "Intercept": (1.0, None),
        "Mean of outcome": (0.3, None),
    }
    assert made.body[0].rows[1].cells == ("(0.100)", None)
    clerk = {row.label: row.cells for row in made.body[2].rows}
    assert clerk == {"educ": (None, 0.3), "Mean of outcome": (None, None)}
    assert made.body[3].rows[0].cells == (1200, 1200)


def test_the_long_shape_has_a_column_per_statistic():
    made = table([logit(), penalised()], shape="long", statistic=("se", "t", "p", "ci"), terms=["educ"], stats=["n"])
    assert [column.label for column in made.columns] == ["coef.", "SE", "t", "p", "95% CI"]
    assert [panel.title for panel in made.body] == [
        "(1): Cook", "(1): Driver", "(1)", "(2): Clerk", "(2): Cook", "(2): Driver", "(2)",
    ]  # fmt: skip
    assert made.body[0].rows[0].cells[:3] == (0.5, 0.1, 5.0)
    assert made.body[0].rows[0].cells[4] == "[0.304, 0.696]"
    assert made.body[3].rows[0].cells == (0.3, None, None, None, None)


def test_statistics_beside_the_estimates():
    made = table({"A": logit(), "B": logit()}, below=False, statistic=("se", "p"), terms=["educ"], stats=["n"])
    heads = [(column.group, column.label) for column in made.columns]
    assert heads[:4] == [("A: Cook", "coef."), ("A: Cook", "SE"), ("A: Cook", "p"), ("A: Driver", "coef.")]
    assert made.rows[0].cells[:2] == (0.5, 0.1)
    assert made.rows[1].cells == (1200, *[None] * 5, 1200, *[None] * 5)


@pytest.mark.parametrize("shape", ["equations", "panels", "long"])
def test_an_embedding_takes_one_line_and_common_coefficients_a_panel(shape):
    made = table([embedding()], shape=shape, stats=[])
    text = plain_text(made)
    lines = [row for row in made.rows if row.label.startswith("embed")]
    assert {row.label for row in lines} == {"embed(resume): norm of 384 coef."}
    norms = [value for row in lines for value in row.cells if value is not None]
    assert norms == pytest.approx([2 * np.sqrt(384), 3 * np.sqrt(384)])
    assert len(made.rows) < 12
    assert made.body[0].title == "Alternative-specific, common to all outcomes"
    assert made.body[0].rows[0].cells[0] == 1.5
    assert "Norm: root of the sum of the squared coefficients of a term's columns." in text
    assert "not shown" not in text


def test_terms_of_many_columns_are_shown_in_full_where_asked_for():
    made = table([embedding(40)], terms=["embed(resume)"], statistic=None)
    assert len(made.rows) == 40 + 1
    one = table([embedding(40)], terms=["embed(resume)[3]"], statistic=None, stats=[])
    assert [row.label for row in one.rows] == ["embed(resume)[3]"]
    assert "Coefficients not shown: 81." in plain_text(one)


def test_a_factor_of_many_levels_takes_one_line_and_one_of_few_does_not():
    def factor(levels):
        names = [f"place[{i}]" for i in range(levels)]
        return Fit({(2, name): 1.0 for name in names}, None, facts(terms=dict.fromkeys(names, "place")))

    assert [row.label for row in table([factor(31)], stats=[]).rows] == ["place: norm of 31 coef."]
    assert len(table([factor(30)], stats=[], statistic=None).rows) == 30
    both = table([factor(31), factor(50)], stats=[])
    assert [row.label for row in both.rows] == ["place: norm of 31 to 50 coef."]


def test_headings_break_into_lines_and_narrower_where_there_are_many():
    titles = {1: "Base", **{i: f"Blue- and white collar workers {i}" for i in range(2, 10)}}
    few = Fit({(i, "x"): 1.0 for i in (2, 3)}, None, facts(titles=titles))
    many = Fit({(i, "x"): 1.0 for i in range(2, 10)}, None, facts(titles=titles))
    assert table([few]).columns[0].label == "Blue-\u00a0and\nwhite collar\nworkers 2"
    widths = [max(map(len, table([fit]).columns[0].label.split("\n"))) for fit in (few, many)]
    assert widths[1] < widths[0]

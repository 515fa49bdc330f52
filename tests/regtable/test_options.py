import re

import numpy as np
import pytest

from econllm.errors import OptionError
from econllm.regtable import table

from .samples import Fit, embedding, logit, penalised, plain_text


def labels_of(made):
    return [row.label for row in made.rows if row.label]


def test_outcomes_by_code_title_and_label_in_the_order_given():
    made = table([logit()], outcomes=[3, "Cook"], stats=[])
    assert [column.label for column in made.columns] == ["Driver", "Cook"]
    renamed = table([logit()], outcomes=["Chef"], labels={2: "Chef"}, stats=[])
    assert [column.label for column in renamed.columns] == ["Chef"]
    assert "Coefficients not shown: 3." in plain_text(renamed)


def test_terms_drop_and_order():
    assert labels_of(table([logit()], terms=["black", "educ"], stats=[])) == ["black", "educ"]
    assert labels_of(table([logit()], drop=[re.compile("^b")], stats=[])) == ["educ", "Intercept"]
    assert labels_of(table([logit()], order=["Intercept"], stats=[])) == ["Intercept", "educ", "black"]
    assert "Coefficients not shown: 2." in plain_text(table([logit()], drop=["educ"]))
    assert "not shown" not in plain_text(table([logit()]))


def test_a_text_is_a_name_and_no_expression():
    with pytest.raises(OptionError, match=r"drop names 'edu', which is no term.*Did you mean 'educ'"):
        table([logit()], drop=["edu"])
    with pytest.raises(OptionError, match=r"the expression 'zz' finds no term"):
        table([logit()], terms=[re.compile("zz")])
    with pytest.raises(OptionError, match=r"terms='educ' is one name; give a list"):
        table([logit()], terms="educ")
    assert labels_of(table([embedding(3)], terms=["embed(resume)[1]"], stats=[])) == ["embed(resume)[1]"]


def test_groups_have_titles_and_collapsed_terms_become_yes_and_no():
    made = table(
        [logit(), penalised()],
        groups={"Human capital": ["educ"]},
        collapse={"Race": ["black"]},
        stats=[],
        statistic=None,
    )
    assert [(panel.title, [row.label for row in panel.rows]) for panel in made.body] == [
        ("Human capital", ["educ"]),
        ("", ["Intercept"]),
        ("", ["Race"]),
    ]
    assert made.rows[-1].cells == ("yes", None, "no", None, None)
    assert "not shown" not in plain_text(made)
    with pytest.raises(OptionError, match=r"'educ' is in groups 'A' and 'B'"):
        table([logit()], groups={"A": ["educ"], "B": ["educ"]})
    with pytest.raises(OptionError, match=r"collapse\['Race'\] names 'blck'"):
        table([logit()], collapse={"Race": ["blck"]})


def test_labels_rename_whole_names_variables_inside_names_and_patterns():
    fit = Fit({("", "educ"): 1.0, ("", "educ:lag(job)[2]"): 2.0, ("", "C(year)[81]"): 3.0})
    labels = {"educ": "Schooling", re.compile(r"C\(year\)\[(\d+)\]"): r"Year 19\1"}
    assert labels_of(table([fit], labels=labels, stats=[])) == ["Schooling", "Schooling:lag(job)[2]", "Year 1981"]
    assert labels_of(table([fit], labels=labels, terms=["Year 1981"], stats=[])) == ["Year 1981"]


def test_every_statistic_below_the_estimate_and_what_the_note_says():
    made = table([logit()], terms=["educ"], outcomes=[2], statistic=("se", "t", "p", "ci"), level=0.9, stats=[])
    assert [row.cells[0] for row in made.rows] == [0.5, "(0.100)", "[5.00]", "{<0.001}", "[0.336, 0.664]"]
    note = "Standard errors in parentheses; t statistics in brackets; p-values in braces; 90% confidence intervals"
    assert note in plain_text(made)
    only = table([logit()], terms=["educ"], statistic=None, stats=[])
    assert len(only.rows) == 1
    assert "tandard errors" not in plain_text(only)


def test_stars_are_off_unless_asked_for():
    assert "*" not in str(table([logit()]))
    # black: z = 1.5 and 3 with p = 0.134 and 0.003; educ: z = 5 and -2 with p = 0.046.
    made = table([logit()], stars=True, statistic=None, stats=[])
    cells = {row.label: [str(cell).rstrip("\u00a0") for cell in row.cells] for row in made.rows}
    assert cells["black"] == ["0.150", "0.300***"]
    assert cells["educ"] == ["0.500***", "−0.200**"]
    assert "* p < 0.1, ** p < 0.05, *** p < 0.01." in plain_text(made)
    own = table([logit()], stars={"+": 0.2}, terms=["black"], statistic=None, stats=[])
    assert [str(cell).rstrip("\u00a0") for cell in own.rows[0].cells] == ["0.150+", "0.300+"]
    assert len({len(cell) for row in table([logit()], stars=True, outcomes=[2]).rows[:4] for cell in row.cells}) <= 2


def test_penalised_estimates_have_no_stars_and_no_standard_errors():
    made = table([penalised()], stars=True, stats=[])
    assert [str(cell).rstrip("\u00a0") for cell in made.rows[0].cells] == ["0.300", "−0.100", "−0.200"]
    assert len(made.rows) == 1
    text = plain_text(made)
    assert "No standard errors: penalised." in text
    assert "Penalty: L2, alpha = 0.01." in text
    assert "Base outcome: none, coefficients sum to zero over outcomes." in text


def test_notes_name_the_models_where_they_differ():
    text = plain_text(table({"A": logit(), "B": logit(cov="nonrobust"), "C": penalised()}))
    assert "Standard errors in parentheses: clustered by person (40 clusters) in A; nonrobust in B." in text
    assert "No standard errors: penalised in C." in text
    assert "Base outcome: Clerk in A, B; none, coefficients sum to zero over outcomes in C." in text
    same = plain_text(table([logit(), logit()], notes="Source: made up."))
    assert (
        "Standard errors in parentheses: clustered by person (40 clusters). Base outcome: Clerk. Source: made up."
        in same
    )
    failed = plain_text(table([logit(), logit(glance={"converged": False})]))
    assert "NOT CONVERGED: (2)." in failed


def test_ratios_are_exponentiated_with_delta_method_errors():
    made = table([logit()], exp=True, terms=["educ"], statistic=("se", "t", "ci"), shape="long", digits=6, stats=[])
    estimate, error, statistic, bounds = made.rows[0].cells
    assert estimate == pytest.approx(np.exp(0.5))
    assert error == pytest.approx(0.1 * np.exp(0.5))
    assert statistic == pytest.approx(5)
    assert bounds == f"[{np.exp(0.5 - 0.1959964):.6f}, {np.exp(0.5 + 0.1959964):.6f}]"
    assert "relative risk ratios against the base. Standard errors by the delta method." in plain_text(made)
    norm = table([embedding(40)], exp=True, stats=[]).rows
    assert [r.cells[0] for r in norm if r.label.startswith("embed")] == pytest.approx([2 * np.sqrt(40)])


def test_digits_and_numbers_that_would_print_as_zero():
    fit = Fit({("", "x"): 0.00012, ("", "z"): 0.1234})
    assert "1.2e-04" in str(table([fit]))
    assert "0.12\n" in str(table([fit], digits=2))
    with pytest.raises(OptionError, match="digits=-1"):
        table([fit], digits=-1)


def test_statistics_are_chosen_renamed_and_made():
    made = table(
        [logit(), penalised()],
        stats=["persons", {"Rows": "n", "Half": lambda fit: fit.glance()["n"].iloc[0] / 2, "Region": ["North", None]}],
        shape="panels",
    )
    assert {row.label: row.cells for row in made.body[-1].rows} == {
        "Persons": (40, None),
        "Rows": (1200, 1200),
        "Half": (600.0, 600.0),
        "Region": ("North", None),
    }
    by_default = labels_of(table([logit()]))[3:]
    assert by_default == ["Observations", "Persons", "Log-likelihood", "AIC"]
    assert labels_of(table([logit()], stats=[]))[3:] == []


def test_the_share_of_every_outcome_stands_in_its_column():
    made = table([logit()], stats=["outcome_mean", {"Own": lambda fit: {2: 7, 3: 8}}])
    assert [row.cells for row in made.body[-1].rows] == [(0.3, 0.2), (7, 8)]
    with pytest.raises(OptionError, match="no model says how often"):
        table([penalised()], stats=["outcome_mean"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "panel"}, "Did you mean 'panels'"),
        ({"statistic": "std"}, "statistic='std' is not an option"),
        ({"statistic": ("se", "se")}, "names one statistic twice"),
        ({"stars": 0.05}, "stars=0.05 is not allowed"),
        ({"stars": {"*": 0}}, "above 0"),
        ({"stars": {"*": 2}}, "stars['*']=2 is not allowed"),
        ({"notes": 5}, "notes=5"),
        ({"notes": [5]}, "notes=[5]"),
        ({"title": 5}, "title=5"),
        ({"key": 5}, "key=5"),
        ({"exp": "yes"}, "exp='yes' is not an option"),
        ({"below": "no"}, "below='no' is not an option"),
        ({"stats": "n"}, "stats='n' is one name"),
        ({"stats": ["aicc"]}, "which no model has. Did you mean 'aic'"),
        ({"stats": {"X": [1, 2]}}, "has 2 values for 1 models"),
        ({"outcomes": ["Cok"]}, "Did you mean 'Cook'"),
        ({"outcomes": ["Clerk"]}, "the base outcome, which has no coefficients"),
        ({"outcomes": "Cook"}, "outcomes='Cook' is one outcome"),
        ({"level": 95}, "level"),
        ({"key": "a b"}, "LaTeX label"),
        ({"order": ["x1"]}, "order names 'x1'"),
        ({"terms": [3]}, "terms has 3; give names"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        table([logit()], **options)


def test_what_is_no_result_is_refused():
    with pytest.raises(OptionError, match="models is empty"):
        table({})
    with pytest.raises(OptionError, match=r"model '\(2\)' is a dict, which is no result"):
        table([logit(), {"educ": 1}])

    class Odd:
        def tidy(self):
            return {"educ": 1}

        def glance(self):
            return {}

    with pytest.raises(OptionError, match="columns term and estimate"):
        table([Odd()])


def test_a_single_result_needs_no_list():
    assert str(table(logit())) == str(table([logit()]))

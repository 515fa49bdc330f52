"""Formulas taken apart, and what they may not use."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from econllm.errors import FormulaError, LeakageError, MissingColumnError, OptionError
from econllm.formula import DesignSpec, parse
from econllm.formula.parse import Factor, functions_in, names_in, varies


def terms(text: str) -> list[str]:
    return [term.text for term in parse(text).terms]


def test_terms_and_intercept() -> None:
    parsed = parse("job ~ lag(job) + educ * sex")
    assert (parsed.outcome, parsed.intercept) == ("job", True)
    assert terms("job ~ lag(job) + educ * sex") == ["lag(job)", "educ", "sex", "educ:sex"]
    assert terms("job ~ (a + b) ** 2") == ["a", "b", "a:b"]
    assert terms("y ~ a + a") == ["a"]
    for text in ("job ~ educ - 1", "job ~ 0 + educ"):
        assert not parse(text).intercept
        assert terms(text) == ["educ"]
    assert parse("job ~ 1").terms == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("educ + sex", "needs one '~'"),
        ("job ~ educ ~ sex", "needs one '~'"),
        ("job ~ educ | sex", "'sex' stands right of the bar but is the same for all outcomes"),
        ("job ~ (educ | sex)", "does not parse"),
        ("job + sex ~ educ", "must be one column, untransformed"),
        ("np.log(job) ~ educ", "must be one column, untransformed"),
        ("job:sex ~ educ", "must be one column, untransformed"),
        ("~ educ", "must have one outcome"),
        ("job ~ educ +", "does not parse"),
        ("job ~ lag(educ", "does not parse"),
        ("job ~ .", r"has a '\.': name the columns, as in 'occupation ~ educ \+ sex'"),
        ("job ~ . - educ", r"has a '\.': name the columns"),
        ("job ~ as.factor(educ)", r"has as\.factor\(\): write C\(x\)"),
        ("job ~ lag(`class`)", "does not parse: 'class' is a reserved word of Python; rename the column"),
        (3, "a formula is a text such as 'occupation ~ educ'; found a int"),
    ],
)
def test_formulas_that_do_not_parse(text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        parse(text)


def test_names_and_calls() -> None:
    factor = Factor("np.log(`hourly wage`) + lag(x.abs(), k=2)", False)
    assert names_in(factor) == {"np", "hourly wage", "lag", "x"}
    assert functions_in(factor) == {"lag"}
    assert names_in(Factor("hourly wage", True)) == {"hourly wage"}


# The part right of the bar

ALTERNATIVE = [
    "stay()",
    "similarity('title')",
    "price[alt]",
    "np.log(price[alt])",
    "I(price[alt] / income)",
    "`a b`[alt]",
]
OF_ROW = ["age", "C(k)", "lag(wage)", "`a b`"]


def shown(factor: str) -> str:
    """How a factor is spelled by the parser: a bare column has no backquotes."""
    return factor.replace("`", "")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(ALTERNATIVE), min_size=1, max_size=2, unique=True),
            st.lists(st.sampled_from(OF_ROW), max_size=2, unique=True),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["1", "0", "educ", "lag(job) + educ:sex - 1", "educ * sex"]),
)
def test_terms_right_of_the_bar(drawn: list[tuple[list[str], list[str], bool]], left: str) -> None:
    products = [[*b, *a] if swap else [*a, *b] for a, b, swap in drawn]
    parsed = parse(f"job ~ {left} | {' + '.join(':'.join(factors) for factors in products)}")
    alone = parse(f"job ~ {left}")
    assert (parsed.terms, parsed.intercept, parsed.outcome) == (alone.terms, alone.intercept, alone.outcome)
    found = {frozenset(factor.text for factor in term.factors) for term in parsed.alternatives}
    assert found == {frozenset(map(shown, factors)) for factors in products}
    assert len(parsed.alternatives) == len(found)
    for term in parsed.alternatives:
        assert any(varies(factor) for factor in term.factors)
        assert {factor.text: varies(factor) for factor in term.factors} == {
            shown(f): f in ALTERNATIVE for f in (*ALTERNATIVE, *OF_ROW) if shown(f) in {x.text for x in term.factors}
        }


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(OF_ROW), min_size=1, max_size=2, unique=True), st.sampled_from(ALTERNATIVE))
def test_terms_on_the_wrong_side(factors: list[str], varying: str) -> None:
    with pytest.raises(FormulaError, match="right of the bar but is the same for all outcomes; write it left"):
        parse(f"y ~ 1 | {varying} + {':'.join(factors)}")
    with pytest.raises(FormulaError, match=r"varies over outcomes .* write it right of a bar"):
        parse(f"y ~ {varying}:{':'.join(factors)}")


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="xy[alt]|~+:() 0`", max_size=14))
@example("x[alt] | y[alt]")
@example("stay(")
def test_whatever_stands_right_of_the_bar_parses_or_is_refused_in_words(text: str) -> None:
    with contextlib.suppress(FormulaError):
        parsed = parse(f"y ~ 1 | {text}")
        assert parsed.alternatives
        assert all(any(varies(f) for f in term.factors) for term in parsed.alternatives)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y ~ | x[alt]", r"has nothing between '~' and '\|'; write '~ 1 \|' for constants only"),
        ("y ~ x |", r"has nothing right of the '\|'"),
        ("y ~ x | 1", r"has nothing right of the '\|'"),
        ("y ~ a | b[alt] | c[alt]", r"has more than one '\|'"),
        ("y ~ 1 | stay() * sex", r"'sex' stands right of the bar.* as in stay\(\):sex. \(a \* b stands for"),
        ("y ~ stay()", r"stay\(\) varies over outcomes .* as in 'y ~ 1 \| stay\(\)'"),
    ],
)
def test_bars_out_of_place(text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        parse(text)


def test_names_by_outcome() -> None:
    factor = Factor("np.log(`hourly wage`[alt] / x[alt]) + z", False)
    assert names_in(factor) == {"np", "hourly wage[alt]", "x[alt]", "z"}
    assert not varies(Factor("x['alt']", False))


# The outcome, and what describes the job of the record


def fit(formula: str, data, **options):
    return DesignSpec.fit(formula, data, **options)[1]


@pytest.mark.parametrize(
    "term", ["job", "C(job)", "educ:job", "np.where(job == 'cook', 1, 0)", "embed(job)", "bs(job)", "`job`"]
)
def test_the_outcome_on_the_right(panel, term: str) -> None:
    with pytest.raises(LeakageError, match=r"formula uses the outcome 'job' on its right-hand side; write lag\(job\)"):
        fit(f"job ~ educ + {term}", panel)


@pytest.mark.parametrize(
    "term", ["wage", "np.log(wage)", "lag(wage) * wage", "educ:wage", "scale(wage)", "I(educ + wage)", "C(wage)"]
)
def test_lagged_columns_unlagged(panel, term: str) -> None:
    with pytest.raises(
        LeakageError, match=r"formula uses 'wage' as it stands.* known only afterwards; write lag\(wage\)"
    ):
        fit(f"job ~ {term}", panel)


@pytest.mark.parametrize(
    "term", ["changed(C(job))", "changed(wage + educ)", "changed(x=np.log(wage))", "changed(job == 'cook')"]
)
def test_changed_of_an_expression_does_not_reveal_the_record(panel, term: str) -> None:
    # Only a bare column says that it is known afterwards; an expression would be compared with the record itself.
    with pytest.raises(LeakageError, match=r"formula uses (the outcome 'job'|'wage' as it stands)"):
        fit(f"job ~ {term}", panel)


def test_the_outcome_of_a_plain_frame() -> None:
    df = pd.DataFrame({"y": list("aab"), "x": [1.0, 2, 3]})
    with pytest.raises(LeakageError, match="uses the outcome 'y'"):
        fit("y ~ x + y", df)


def test_quoting_a_column_is_no_way_around(panel) -> None:
    with pytest.raises(
        FormulaError, match=r"calls Q\(\), which is no function here. Instead put the name in backquotes"
    ):
        fit("job ~ Q('wage')", panel)


def test_the_title_of_the_outcome(careers, roles) -> None:
    from econllm.panel import CareerPanel

    careers["name"] = careers["job"].str.title()
    panel = CareerPanel(careers, **roles, titles="name")
    for term in ("name", "embed(name)", "lag(name)"):
        with pytest.raises(
            LeakageError, match=r"'name' is the title of the outcome 'job' and known only afterwards; write lag\(job\)"
        ):
            fit(f"job ~ {term}", panel)
    declared = CareerPanel(careers, **{**roles, "lagged": ["name"]}, titles="name")
    assert fit("job ~ lag(name)", declared).columns[0] == "lag(name)[(none)]"


@pytest.mark.parametrize(
    "term",
    [
        "educ.shift(1)",
        "np.roll(educ, 1)",
        "lag(wage.shift(-1))",
        "educ.diff()",
        "np.cumsum(educ)",
        "lag(np.flip(wage))",
        "lag(np.sort(wage))",
        "lag(wage.sort_values())",
        "educ.rank()",
        "lag(wage.sample(frac=1))",
        "lag(wage.iloc[::-1])",
        "lag(wage.pipe(np.flip))",
        "lag(wage.apply('cumsum'))",
        "I(record().shift(-1))",
    ],
)
def test_rows_are_not_shifted_by_hand(panel, term: str) -> None:
    message = r"(calls \w+\(\)|picks rows by \[...\]), which crosses persons; write lag\(x\)"
    with pytest.raises(FormulaError, match=message):
        fit(f"job ~ {term}", panel)


@pytest.mark.parametrize("term", ["lag(wage[::-1])", "lag(wage.values[::-1])", "educ[educ > 3]"])
def test_rows_are_not_picked_by_hand(panel, term: str) -> None:
    with pytest.raises(FormulaError, match=r"picks rows by \[...\], which crosses persons; write lag\(x\)"):
        fit(f"job ~ {term}", panel)


@pytest.mark.parametrize("term", ["lag(wage - wage.mean())", "educ / educ.std()", "lag(wage > np.median(wage))"])
def test_statistics_of_all_rows_are_refused(panel, term: str) -> None:
    message = r"calls (mean|std|median)\(\), a statistic of whichever rows .* write center\(x\) or scale\(x\)"
    with pytest.raises(FormulaError, match=message):
        fit(f"job ~ {term}", panel)
    fit("job ~ lag(center(wage)) + np.maximum(educ, 12) + region.str[:1] + region.str.count('e')", panel)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("lags(job)", r"lags\(job\) calls lags\(\), which is no function here. Did you mean 'lag'\?"),
        ("factor(job)", r"calls factor\(\), which is no function here. Instead write C\(x\)"),
        ("C(region, Treatment('east'))", r"calls Treatment\(\).* Instead write C\(x, base='level'\)"),
        ("offset(educ)", r"calls offset\(\).* a coefficient cannot be fixed here"),
        ("embed('region')", r"embed\('region'\) has a text where a column .*; write embed\(region\) without quotes"),
        ("lag('job')", r"write lag\(job\) without quotes"),
        ("embed(region, comps=3)", r"embed\(\) has no argument 'comps'.* Its arguments: text, model, components"),
        ("lag(job, n=2)", r"lag\(\) has no argument 'n'. Its arguments: x, k, by"),
        ("embed(text='region')", r"write embed\(region\) without quotes"),
        ("I((lambda lag: lag(wage))(np.asarray))", "defines names of its own; add a column"),
        ("np.array([lag(wage) for lag in (np.asarray,)])", "defines names of its own"),
        ("record(n=2)", r"record\(\) has no argument 'n'. Its arguments: none"),
    ],
)
def test_functions_and_arguments_that_do_not_exist(panel, term: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        fit(f"job ~ {term}", panel)


def test_columns_named_as_functions_are(careers, roles) -> None:
    from econllm.panel import CareerPanel

    renamed = careers.rename(columns={"wage": "lag", "educ": "scale"})
    panel = CareerPanel(renamed, **{**roles, "lagged": ["lag"], "dynamic": ["scale", "region"]})
    # Naming the function is not reading the column of that name.
    assert fit("job ~ lag(region) + scale + np.log(scale)", panel).columns[-2:] == ("scale", "np.log(scale)")
    with pytest.raises(
        FormulaError, match=r"in lag\(lag\) 'lag' is a function and stands for a value too; rename a column"
    ):
        fit("job ~ lag(lag)", panel)
    with pytest.raises(MissingColumnError, match="formula uses 'bag', which is no column here"):
        fit("job ~ bag", panel)
    with pytest.raises(LeakageError, match="formula uses 'lag' as it stands"):
        fit("job ~ lag", panel)
    constant = pd.DataFrame({"y": ["a", "b"], "Intercept": [1.0, 2], "class": [3.0, 4]})
    with pytest.raises(FormulaError, match="a column named 'Intercept' would be taken for the constant; rename it"):
        fit("y ~ Intercept", constant)
    assert fit("y ~ class", constant).columns == ("class",)


def test_columns_that_cannot_be_regressors(panel) -> None:
    with pytest.raises(FormulaError, match="'id' identifies persons and cannot be a regressor"):
        fit("job ~ id", panel)
    with pytest.raises(FormulaError, match="'weight' holds the survey weights"):
        fit("job ~ np.log(weight)", panel)
    with pytest.raises(FormulaError, match=r"resume is text; write embed\(resume\)"):
        fit("job ~ resume", panel)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("edcu", r"formula uses 'edcu', which is no column here. Did you mean 'educ'\? Columns: 'educ', 'job'"),
        ("i.region", r"formula uses 'i.region', which is no column here. Instead write C\(region\)."),
        ("L.job", r"formula uses 'L.job', which is no column here. Instead write lag\(job\)."),
        ("L2.job", r"Instead write lag\(job, 2\)."),
        ("c.educ", r"Instead write educ."),
        ("np.log(L.wage)", r"formula uses 'L', which is no column here. Instead write lag\(wage\)."),
        ("np.log(edu)", r"formula uses 'edu', which is no column here. Did you mean 'educ'\?"),
    ],
)
def test_absent_columns(panel, term: str, message: str) -> None:
    with pytest.raises(MissingColumnError, match=message):
        fit(f"job ~ {term}", panel)


def test_the_outcome_of_a_panel_is_its_occupation(panel) -> None:
    with pytest.raises(
        FormulaError, match="has the outcome 'region'; the outcome of this panel is its occupation column 'job'"
    ):
        fit("region ~ educ", panel)


@pytest.mark.parametrize("term", ["lag(x)", "gap()", "record()", "changed(x)", "years_in(x)", "bag(x)"])
def test_panel_terms_need_a_panel(term: str) -> None:
    df = pd.DataFrame({"y": ["a", "b"], "x": [1.0, 2]})
    with pytest.raises(FormulaError, match=r"looks back in a career, .*: give a CareerPanel, not a data frame"):
        fit(f"y ~ {term}", df)


def test_resume_needs_a_panel() -> None:
    df = pd.DataFrame({"y": ["a", "b"], "x": [1.0, 2]})
    with pytest.raises(FormulaError, match="resume is the text of a career, so it needs a CareerPanel"):
        fit("y ~ embed(resume)", df)


@pytest.mark.parametrize(
    ("term", "error", "message"),
    [
        ("lag(job, 0)", OptionError, r"k of lag\(\)=0 is not allowed: give a whole number of at least 1"),
        ("lag(job, -1)", OptionError, r"k of lag\(\)=-1 is not allowed"),
        ("lag(job, by='tiem')", OptionError, r"by of lag\(\)='tiem' is not an option.* Did you mean 'time'"),
        ("lag(poly(educ, 2))", FormulaError, "cannot be evaluated|not the result of another term"),
        ("lag(job, 0.5)", OptionError, r"k of lag\(\)=0.5 is not allowed: give a whole number of at least 1"),
        ("lag(job, 0, by='time')", OptionError, r"k of lag\(\)=0 is not allowed: give a finite number above 0"),
        *[
            (term, FormulaError, r"cannot be transformed; transform inside it, as in lag\(np.log\(wage\)\)")
            for term in (
                "np.log(lag(wage))",
                "I(lag(wage) ** 2)",
                "scale(gap())",
                "I(lag(job) == 'cook')",
                "I(lag(wage) != 3)",
            )
        ],
        ("lag(lag(wage))", FormulaError, "not the result of another term with several columns"),
        (
            "C(lag(wage))",
            FormulaError,
            r"C\(\) takes a column; for the category of an earlier record write lag\(C\(x\)\)",
        ),
        ("educ.nothing()", FormulaError, "cannot be evaluated: AttributeError"),
        ("np.log(region)", FormulaError, "cannot be evaluated"),
        ("np.ones((8, 2, 2))", FormulaError, "has 3 dimensions"),
        ("np.ones(5)", FormulaError, "a term has 5 rows where the data have 8"),
    ],
)
def test_expressions_that_fail_say_so(panel, term: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        fit(f"job ~ {term}", panel)


def test_data_of_the_wrong_kind() -> None:
    with pytest.raises(ValueError, match="data is a ndarray; give a CareerPanel or a pandas DataFrame"):
        fit("y ~ x", np.ones((3, 2)))
    df = pd.DataFrame([["a", 1.0, 2.0], ["b", 2.0, 3.0]], columns=["y", "x", "x"])
    with pytest.raises(ValueError, match="column 'x' occurs more than once"):
        fit("y ~ x", df)

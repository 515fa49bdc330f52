"""Restrictions read from text."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from econllm.errors import DataError, OptionError
from econllm.inference import lincom, nlcom, parse_hypothesis
from econllm.inference.names import Names, factor_of
from tests.inference.samples import INDEX, RESPONSES, TERMS, TITLES, sample

PLACE = {pair: i for i, pair in enumerate(INDEX)}


def row(weights: dict) -> np.ndarray:
    out = np.zeros(len(INDEX))
    for pair, weight in weights.items():
        out[PLACE[pair]] += weight
    return out


def assert_reads(text, rows: list[dict], values: list[float] | None = None) -> None:
    matrix, targets = parse_hypothesis(text, INDEX, TITLES)
    assert matrix == pytest.approx(np.array([row(weights) for weights in rows]), abs=1e-15)
    assert targets == pytest.approx(np.zeros(len(rows)) if values is None else np.array(values), abs=1e-15)


def everywhere(term: str, response: object = None) -> list[dict]:
    return [{(r, term): 1} for r in (RESPONSES if response is None else [response])]


SLOPES = [term for term in TERMS if term != "Intercept"]
JOBS = [term for term in TERMS if term.startswith("lag(job)[") and not term.endswith(":educ")]


@pytest.mark.parametrize(
    ("text", "rows", "values"),
    [
        ("educ = 0", everywhere("educ"), None),
        ("educ", everywhere("educ"), None),
        ("Intercept == 1", everywhere("Intercept"), [1, 1, 1]),
        ("[2]educ = 0", everywhere("educ", 2), None),
        ("[ Managers ] educ = 0", everywhere("educ", 2), None),
        ("[Sales [retail], etc.]educ = 0", everywhere("educ", 3), None),
        ("[Clerks = typists]educ", everywhere("educ", 5), None),
        ("[2]educ = [3]educ", [{(2, "educ"): 1, (3, "educ"): -1}], None),
        ("educ = exper", [{(r, "educ"): 1, (r, "exper"): -1} for r in RESPONSES], None),
        ("2*[2]educ - [3]exper = 0.5", [{(2, "educ"): 2, (3, "exper"): -1}], [0.5]),
        ("-([2]educ + 3) / 4 = -(-2)^3 + 1e-1", [{(2, "educ"): -0.25}], [8.1 + 0.75]),
        ("[2]educ = log(exp(2)) * sqrt(4)", [{(2, "educ"): 1}], [4]),
        ("[2]educ = 0, [3]educ = 1", [{(2, "educ"): 1}, {(3, "educ"): 1}], [0, 1]),
        ("\n[2]educ = 0\n\n [3]educ = 1\n", [{(2, "educ"): 1}, {(3, "educ"): 1}], [0, 1]),
        (["[2]educ", "[3]educ = 1"], [{(2, "educ"): 1}, {(3, "educ"): 1}], [0, 1]),
        ("[2]educ = [3]educ = 2", [{(2, "educ"): 1, (3, "educ"): -1}, {(3, "educ"): 1}], [0, 2]),
        ("[2]educ +\n [3]educ", [{(2, "educ"): 1, (3, "educ"): 1}], None),
        ("([2]educ\n+ [3]educ)", [{(2, "educ"): 1, (3, "educ"): 1}], None),
        ("educ:exper", everywhere("educ:exper"), None),
        ("np.log(wage + 1) = 0", everywhere("np.log(wage + 1)"), None),
        ("np.log(wage+1) = 0", everywhere("np.log(wage + 1)"), None),
        ("[2]lag(job)[a, b = c] = 0", everywhere("lag(job)[a, b = c]", 2), None),
        ("[2]lag(job)[Sales workers: all]:educ", everywhere("lag(job)[Sales workers: all]:educ", 2), None),
        ("C(x,base='a')[b]", everywhere("C(x, base='a')[b]"), None),
        ("[3]embed(resume)[1]", everywhere("embed(resume)[1]", 3), None),
        ("[3]embed(resume)[12]", everywhere("embed(resume)[12]", 3), None),
        ("hourly wage - educ", [{(r, "hourly wage"): 1, (r, "educ"): -1} for r in RESPONSES], None),
        ("a - b", everywhere("a - b"), None),
        ("2 * 2nd", [{(r, "2nd"): 2} for r in RESPONSES], None),
        ("2 * `2`", [{(r, "2"): 2} for r in RESPONSES], None),
        ("[5]`é``t``é`", everywhere("é`t`é", 5), None),
        ("[5]é`t`é", everywhere("é`t`é", 5), None),
        ("lag(job)", [{(r, job): 1} for r in RESPONSES for job in JOBS], None),
        ("[3]lag(job) = [2]lag(job)", [{(3, job): 1, (2, job): -1} for job in JOBS], None),
        ("[3]C(x, base='a')", everywhere("C(x, base='a')[b]", 3), None),
        ("[3]lag(job):educ", [{(3, f"{job}:educ"): 1} for job in JOBS[1:]], None),
        ("[2] = 0", [{(2, term): 1} for term in SLOPES], None),
        ("[2=5]", [{(2, term): 1, (5, term): -1} for term in SLOPES], None),
        ("[2] = [5]", [{(2, term): 1, (5, term): -1} for term in SLOPES], None),
        ("[Managers = Clerks = typists]", [{(2, term): 1, (5, term): -1} for term in SLOPES], None),
        ("stay() = 1", [{("(common)", "stay()"): 1}], [1]),
        ("[(common)]stay() = 1", [{("(common)", "stay()"): 1}], [1]),
        ("similarity('title') = [2]educ", [{("(common)", "similarity('title')"): 1, (2, "educ"): -1}], None),
    ],
)
def test_what_texts_mean(text, rows, values) -> None:
    assert_reads(text, rows, values)


def test_three_equations_are_two_restrictions() -> None:
    matrix, _ = parse_hypothesis("[2=3=5]", INDEX)
    assert np.linalg.matrix_rank(matrix) == len(matrix) == 2 * len(SLOPES)


def test_implied_restrictions_are_dropped_and_the_others_kept_as_written() -> None:
    assert_reads(
        "[2]educ = [3]educ, [3]educ = [5]educ, [2]educ = [5]educ, [2]exper = [2]educ, 7*[2]educ = 7*[3]educ",
        [{(2, "educ"): 1, (3, "educ"): -1}, {(3, "educ"): 1, (5, "educ"): -1}, {(2, "exper"): 1, (2, "educ"): -1}],
    )
    # 0.1 * 3 - 0.3 is 5e-17 in floating point; no coefficient is left.
    with pytest.raises(OptionError, match="nothing to test"):
        parse_hypothesis("0.1*3*[2]educ - 0.3*[2]educ", INDEX)


def test_scales_of_restrictions_do_not_matter() -> None:
    matrix, values = parse_hypothesis("1e-9*[2]educ = 1e-9, 1e9*[3]educ = 1e9", INDEX)
    assert len(matrix) == 2
    assert values.tolist() == [1e-9, 1e9]
    with pytest.raises(OptionError, match="contradict"):
        parse_hypothesis("1e-9*[2]educ = 1e-9, [2]educ = 2", INDEX)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("educc = 0", "no coefficient is called 'educc'. Did you mean 'educ'"),
        ("[2]exprr", "Did you mean 'exper'"),
        ("lag(job)[Sales worker: all] = 0", "Did you mean 'lag.job..Sales workers: all.'"),
        ("`no such` = 0", "no coefficient is called 'no such'"),
        ("educ:wage", "'educ:wage'. Did you mean 'educ:exper'"),
        ("embed(resume)[13]", "'embed.resume..13.'"),
        ("[4]educ", "no equation is called '4'.* Equations are 2, 3, 5"),
        ("[Manager]educ", "Did you mean 'Managers'"),
        ("[1]educ", "outcome '1' has no equation: it is the base outcome"),
        ("[Professional]educ", "outcome 'Professional' has no equation"),
        ("[2]stay()", "common to all outcomes; write it without an equation"),
        ("educ * exper = 0", "product of coefficients, which is not linear; nlcom"),
        ("1 / educ", "division by coefficients"),
        ("educ ^ 2", "power of coefficients"),
        ("exp(educ) = 1", r"exp\(\) of coefficients"),
        ("sin(educ) = 1", "'sin.educ.'.*Functions are 'exp', 'log', 'sqrt'"),
        ("educ = 1 / 0", "not finite"),
        ("educ = log(0)", "not finite"),
        ("educ = (-1) ^ 0.5", "not finite"),
        ("educ = 1e999", "too large"),
        ("1 = 1", "names no coefficient"),
        ("", "is empty"),
        (" , \n", "is empty"),
        ([], "an empty list"),
        (None, "a NoneType"),
        (["educ", 3], "found a int"),
        ("[2]educ = [2]educ", "there is nothing to test"),
        ("[2]educ = [2]educ + 1", "contradict"),
        ("[2]educ = 1, [2]educ = 2", r"'\[2\]educ = 2' cannot hold with '\[2\]educ = 1'"),
        ("[2]educ = [3]educ, [3]educ = [5]educ, [2]educ = [5]educ + 1", "contradict"),
        ("2 educ", "expected an operator"),
        ("educ exper", "expected an operator"),
        ("educ =", "expected a coefficient or a number at the end"),
        ("educ + ", "expected a coefficient or a number at the end"),
        ("(educ", r"expected '\)' at the end"),
        ("educ)", r"before '\)'"),
        ("`educ", "backquote is not closed"),
        ("[2]educ + [3=5]", "compares whole equations and stands alone"),
        ("[2] = educ", "mixes whole equations or factors"),
        ("[2]lag(job) = [2]embed(resume)", "mixes whole equations or factors"),
        ("(" * 60 + "educ" + ")" * 60, "nests more than 40"),
        ("2" + "^2" * 60 + "*educ", "nests more than 40"),
    ],
)
def test_messages(text, message) -> None:
    with pytest.raises(OptionError, match=message):
        parse_hypothesis(text, INDEX, TITLES)


def test_long_sums_need_no_recursion() -> None:
    matrix, _ = parse_hypothesis(" + ".join(["[2]educ"] * 3000) + "-" * 3000 + "[3]educ", INDEX)
    assert matrix[0, PLACE[2, "educ"]] == 3000


def test_a_term_that_is_common_and_not_needs_its_equation() -> None:
    index = pd.MultiIndex.from_tuples([(2, "wage"), ("(common)", "wage")])
    with pytest.raises(OptionError, match=r"write \[\(common\)\]wage or \[2\]wage"):
        parse_hypothesis("wage", index)
    assert parse_hypothesis("[(common)]wage = [2]wage", index)[0].tolist() == [[-1, 1]]


def test_equations_with_other_terms() -> None:
    index = pd.MultiIndex.from_tuples([(2, "a"), (2, "b"), (3, "b"), (3, "c"), (4, "Intercept")])
    assert parse_hypothesis("[2=3]", index)[0].tolist() == [[0, 1, -1, 0, 0]]
    assert parse_hypothesis("a = 0", index)[0].tolist() == [[1, 0, 0, 0, 0]]
    assert len(parse_hypothesis("b = 0", index)[0]) == 2
    assert parse_hypothesis("[4]Intercept = 2", index)[0].tolist() == [[0, 0, 0, 0, 1]]
    with pytest.raises(OptionError, match="equation 3 has no term 'a'"):
        parse_hypothesis("[3]a", index)
    with pytest.raises(OptionError, match="no equation has all"):
        parse_hypothesis("a = c", index)
    with pytest.raises(OptionError, match="no terms besides the intercept"):
        parse_hypothesis("[4]", index)


def test_index_is_checked() -> None:
    with pytest.raises(DataError, match="1 levels"):
        parse_hypothesis("educ", pd.Index(["educ"]))
    with pytest.raises(DataError, match="repeats"):
        parse_hypothesis("educ", pd.MultiIndex.from_tuples([(2, "educ"), (2, "educ")]))


def test_text_codes_win_over_titles_of_others() -> None:
    index = pd.MultiIndex.from_product([["a", "b"], ["x"]])
    matrix, _ = parse_hypothesis("[a]x", index, {"a": "b", "b": "a"})
    assert matrix.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("term", "factor"),
    [
        ("lag(job)[5]", "lag(job)"),
        ("lag(job)[5]:educ", "lag(job):educ"),
        ("a[1]:b[x:y]", "a:b"),
        ("I(x[0] + 1)", "I(x[0] + 1)"),
        ("job[a]b]", "job"),
        ("job[a[b]", "job"),
        ("x[0] + y", "x[0] + y"),
        ("odd]", "odd]"),
    ],
)
def test_factors(term, factor) -> None:
    assert factor_of(term) == factor


# Properties

anything = st.text(min_size=1, max_size=12)
name_lists = st.lists(anything, min_size=1, max_size=5, unique=True)
weights = st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-3)


@settings(max_examples=150, deadline=None)
@given(
    st.data(), name_lists, st.lists(anything, min_size=1, max_size=3, unique=True).filter(lambda r: "(common)" not in r)
)
def test_any_name_can_be_written_in_backquotes(data, terms, codes) -> None:
    index = pd.MultiIndex.from_product([codes, terms])
    pairs = data.draw(st.lists(st.sampled_from(list(index)), min_size=1, max_size=4, unique=True))
    factors = data.draw(st.lists(weights, min_size=len(pairs), max_size=len(pairs)))
    target = data.draw(st.floats(-100, 100))
    quoted = ["`" + term.replace("`", "``") + "`" for _, term in pairs]
    for code, _ in pairs:  # no blanks at its ends, and not another code followed by a bracket
        found = Names(index).response_at(f"{code}]", 0)
        assume(code == code.strip() and found is not None and found[0] == code)
    text = (
        " + ".join(f"{w!r} * [{c}]{q}" for w, (c, _), q in zip(factors, pairs, quoted, strict=True)) + f" = {target!r}"
    )
    matrix, values = parse_hypothesis(text, index)
    expected = np.zeros(len(index))
    for w, pair in zip(factors, pairs, strict=True):
        expected[list(index).index(pair)] = w
    assert matrix[0] == pytest.approx(expected, abs=0)
    assert values[0] == target


@given(
    st.lists(st.tuples(weights, st.sampled_from(list(INDEX))), min_size=1, max_size=5, unique_by=lambda pair: pair[1])
)
@settings(max_examples=100, deadline=None)
def test_what_names_write_is_read_again(parts) -> None:
    names = Names(INDEX, TITLES)
    text = " + ".join(f"{w!r}*{names.write(*pair)}" for w, pair in parts)
    matrix, _ = parse_hypothesis(text, INDEX, TITLES)
    assert matrix[0] == pytest.approx(row({pair: w for w, pair in parts}), abs=0)


pieces = st.sampled_from(
    [
        "educ",
        "[2]",
        "[3",
        "]",
        "[2=3]",
        "(",
        ")",
        "+",
        "-",
        "*",
        "**",
        "^",
        "/",
        "=",
        "==",
        ",",
        "\n",
        " ",
        "`",
        "1",
        ".5",
        "1e9",
        "0",
        "exp(",
        "log(",
        "lag(job)",
        "lag(job)[",
        "stay()",
        "[Managers]",
        "similarity",
        ":",
        "_",
        "\x00",
        "é",
        "2nd",
        "__import__('os')",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(pieces, max_size=14).map("".join)))
@example("[")
@example("[2")
@example("[2=")
@example("[2] = 3]")
@example("`")
@example("[2]educ**")
def test_garbage_is_refused_in_words(text) -> None:
    params, cov = sample()
    for function in (
        lambda: parse_hypothesis(text, INDEX, TITLES),
        lambda: lincom(params, cov, text, titles=TITLES),
        lambda: nlcom(params, cov, text, titles=TITLES),
    ):
        try:
            function()
        except OptionError as error:
            assert len(str(error)) > 10  # noqa: PT017

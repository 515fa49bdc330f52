import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econllm.tables import Column, Row, Table
from econllm.tables.decimals import decimal_column, decimal_columns
from econllm.tables.latex import latex_table

NAN = float("nan")


def numbers():
    whole = st.integers(-(10**6), 10**6)
    spec = st.sampled_from([".3f", ",.2f", ".0f", ",d", ".1%"])
    marks = st.sampled_from([("", ""), ("(", ")"), ("", "***"), ("<", "")])
    return st.tuples(whole, spec, marks).map(
        lambda x: x[2][0] + format(x[0] / (1 if x[1] == ",d" else 7), x[1].replace(",d", ",.0f")) + x[2][1]
    )


@given(
    st.lists(
        st.one_of(numbers(), st.sampled_from(["", ".", "∞", "1.2e-05", "[0.1, 0.3]", "yes", "007", "+0.5"])), min_size=1
    )
)
def test_cells_keep_every_character_and_numbers_fit_the_room(texts):
    column = decimal_column(texts)
    if column is None:
        return
    for text in texts:
        cell = column.cell(text)
        number = re.fullmatch(r"(?:\{(?:\(|\\textless\{\})\})?(-?)(\d+)(?:\.(\d+))?(?:\{.*\})?", cell)
        if number is None:
            assert cell == "" or (cell[0] == "{" and cell[-1] == "}")
            continue
        assert len(number[2]) <= column.whole
        assert len(number[3] or "") <= column.decimals
        assert column.signed or not number[1]
        # siunitx sets commas where all numbers of the column have them, and nowhere else.
        assert ("," in text) == (column.grouped and len(number[2]) > 3)
        plain = re.sub(r"[{}]", "", cell.replace(r"\textless{}", "<").replace(r"\%", "%"))
        assert plain == text.replace(",", "")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["0.512***", "(0.100)"], "S[table-format={(}1.3{***},group-digits=none,"),
        (["-12.50", "3.25"], "S[table-format=-2.2,group-digits=none]"),
        (["1,090", "12"], "S[table-format=4.0,group-digits=integer,group-minimum-digits=4,group-separator={,}]"),
        (["1090", "12"], "S[table-format=4.0,group-digits=none]"),
        (["<0.001", "0.250"], r"S[table-format={\textless{}}1.3,group-digits=none,table-align-text-before=false]"),
        (["12.5%"], r"S[table-format=2.1{\%},group-digits=none,table-align-text-after=false]"),
    ],
)
def test_room_of_a_column(texts, expected):
    assert decimal_column(texts).pattern.startswith(expected)


def test_whole_numbers_and_commas_below_coefficients_are_set_as_text():
    texts = ["0.512**\u00a0", "(0.100)", "−1.250", "1,090", "−1,234.56", "12"]
    column = decimal_column(texts)
    assert (column.whole, column.decimals, column.grouped) == (1, 3, False)
    assert [column.cell(text) for text in texts] == [
        "0.512{**}",
        "{(}0.100{)}",
        "-1.250",
        "{1,090}",
        "{$-$1,234.56}",
        "{12}",
    ]


def test_only_columns_of_numbers_on_the_right_are_aligned():
    columns = ["p", "Flag", Column("n", align="left"), Column("CI", align="right"), "All"]
    table = Table(columns, [("a", 0.5, "improper", 3, "[0, 1]", None), ("b", NAN, None, 4, None, 2)])
    assert [column is not None for column in decimal_columns(table)] == [True, False, False, False, True]


def test_headings_and_cells_of_a_table():
    columns = [Column("Std.\nerror", ".2f", "g"), Column("Share", align="right"), "Flag"]
    rows = [("[a", 1.5, 0.25, "x"), Row("b", [NAN, float("-inf"), None])]
    latex = latex_table(Table(columns, rows, header="Model"), siunitx=True, fragment=True)
    assert latex.startswith("% needs: booktabs, siunitx\n\\begin{tabular}{@{}lS[table-format=1.2,")
    assert " & \\multicolumn{1}{c}{g} &  & \\\\" in latex
    assert " & {Std.} &  & \\\\\nModel & {error} & {Share} & Flag \\\\" in latex
    assert "{[}a & 1.50 & 0.250 & x \\\\" in latex
    assert "b & {.} & {$-$$\\infty$} & \\\\" in latex


def test_without_numbers_siunitx_is_not_needed():
    assert "siunitx" not in latex_table(Table(["Flag"], [("a", "x")]), siunitx=True)

import html.parser

import numpy as np
import pandas as pd
import pytest

from econllm.errors import OptionError
from econllm.tables import Column, Fact, Panel, Row, Table, TableExports

NAN = float("nan")


@pytest.fixture
def comparison():
    return Table(
        [
            Column("Rows", ",d"),
            Column("lower", ".2f", "95% interval"),
            Column("upper", ".2f", "95% interval"),
            Column("Difference\n(nats)", ".3f"),
            Column("p", "pvalue"),
            "Flags",
        ],
        [
            ("Empirical", 1090, 4.51, 4.91, None, None, None),
            ("MNL & text_x", 1090, 4.4, float("inf"), -0.0252, 0.0001, "50% <raw>"),
            Row("CAREER", [1090, NAN, NAN, -0.1, 0.25, None], [None, None, None, ".1f", None, None]),
        ],
        title="Test perplexity",
        header="Model",
        notes="Clustered by person.",
        key="tab:comparison",
    )


@pytest.fixture
def summary():
    rows = [("educ", -0.1234, 0.0456), ("exper", 1.5, 0.3)]
    return Table(
        [Column("Coef.", ".4f"), Column("Std. err.", ".4f")],
        [Panel("Managers", rows), Panel("Sales | services", rows[:1])],
        title="Multinomial logit",
        facts=[
            Fact("Formula", "occupation ~ lag(occupation) + educ + exper"),
            Fact("Rows", 2725, ",d"),
            Fact("Persons", 381),
            Fact("Converged", "NO"),
        ],
        notes=["Base: Clerical.", "A note."],
    )


TEXT_COMPARISON = """
                          Test perplexity
====================================================================
                     - 95% interval -  Difference
Model          Rows      lower  upper      (nats)       p  Flags
--------------------------------------------------------------------
Empirical     1,090       4.51   4.91
MNL & text_x  1,090       4.40      ∞      -0.025  <0.001  50% <raw>
CAREER        1,090          .      .        -0.1   0.250
====================================================================
Clustered by person.
"""

TEXT_SUMMARY = """
           Multinomial logit
========================================
Formula:  occupation ~ lag(occupation) +
          educ + exper
Rows:       2,725    Converged:       NO
Persons:      381
========================================
                        Coef.  Std. err.
----------------------------------------
Managers
  educ                -0.1234     0.0456
  exper                1.5000     0.3000
----------------------------------------
Sales | services
  educ                -0.1234     0.0456
========================================
Base: Clerical.
A note.
"""

LATEX_COMPARISON = r"""
% needs: booktabs, threeparttable
\begin{table}[htbp]
\centering
\begin{threeparttable}
\caption{Test perplexity}
\label{tab:comparison}
\begin{tabular}{@{}lrrrrrl@{}}
\toprule
 &  & \multicolumn{2}{c}{95\% interval} & Difference &  & \\
\cmidrule(lr){3-4}
Model & Rows & lower & upper & (nats) & p & Flags \\
\midrule
Empirical & 1,090 & 4.51 & 4.91 &  &  & \\
MNL \& text\_x & 1,090 & 4.40 & $\infty$ & $-$0.025 & \textless{}0.001 & 50\% \textless{}raw\textgreater{} \\
CAREER & 1,090 & . & . & $-$0.1 & 0.250 & \\
\bottomrule
\end{tabular}
\begin{tablenotes}[flushleft]\footnotesize\setlength{\labelsep}{0pt}
\item Clustered by person.
\end{tablenotes}
\end{threeparttable}
\end{table}
"""

LATEX_SUMMARY = r"""
% needs: booktabs, threeparttable
\begin{threeparttable}
\begin{tabular*}{0.6\linewidth}{@{\extracolsep{\fill}}lrr@{}}
\toprule
\multicolumn{3}{@{}l@{}}{\makebox[0pt][l]{\parbox[t]{0.6\linewidth}{\raggedright Formula: occupation $\sim$ lag(occupation) + educ + exper\strut}}} \\
\multicolumn{3}{@{}l@{}}{\begin{tabular}[t]{@{}lr@{\qquad}lr@{}}
Rows: & 2,725 & Converged: & NO \\
Persons: & 381 &  & \\
\end{tabular}} \\
\midrule
 & Coef. & Std. err. \\
\midrule
\multicolumn{3}{@{}l@{}}{\textit{Managers}} \\
\quad educ & $-$0.1234 & 0.0456 \\
\quad exper & 1.5000 & 0.3000 \\
\midrule
\multicolumn{3}{@{}l@{}}{\textit{Sales \textbar{} services}} \\
\quad educ & $-$0.1234 & 0.0456 \\
\bottomrule
\end{tabular*}
\begin{tablenotes}[flushleft]\footnotesize\setlength{\labelsep}{0pt}
\item Base: Clerical.
\item A note.
\end{tablenotes}
\end{threeparttable}
"""  # noqa: E501

HTML_SUMMARY = """
<div class="econllm">
<table class="facts">
<caption>Multinomial logit</caption>
<tbody>
<tr><th scope="row">Formula</th><td class="long" colspan="3">occupation ~ lag(occupation) + educ + exper</td></tr>
<tr><th scope="row">Rows</th><td>2,725</td><th scope="row">Converged</th><td>NO</td></tr>
<tr><th scope="row">Persons</th><td>381</td></tr>
</tbody>
</table>
<table>
<thead>
<tr><th></th><th scope="col">Coef.</th><th scope="col">Std. err.</th></tr>
</thead>
<tbody>
<tr><th scope="rowgroup" colspan="3">Managers</th></tr>
<tr><th scope="row" class="indent">educ</th><td>-0.1234</td><td>0.0456</td></tr>
<tr><th scope="row" class="indent">exper</th><td>1.5000</td><td>0.3000</td></tr>
</tbody>
<tbody>
<tr><th scope="rowgroup" colspan="3">Sales | services</th></tr>
<tr><th scope="row" class="indent">educ</th><td>-0.1234</td><td>0.0456</td></tr>
</tbody>
<tfoot>
<tr><td colspan="3">Base: Clerical.</td></tr>
<tr><td colspan="3">A note.</td></tr>
</tfoot>
</table>
</div>
"""

MARKDOWN_COMPARISON = r"""
**Test perplexity**

| Model | Rows | 95% interval: lower | 95% interval: upper | Difference (nats) | p | Flags |
| :--- | ---: | ---: | ---: | ---: | ---: | :--- |
| Empirical | 1,090 | 4.51 | 4.91 |  |  |  |
| MNL \& text\_x | 1,090 | 4.40 | ∞ | -0.025 | \<0.001 | 50% \<raw\> |
| CAREER | 1,090 | . | . | -0.1 | 0.250 |  |

Clustered by person.
"""


def test_text(comparison, summary):
    assert f"\n{comparison}\n" == TEXT_COMPARISON
    assert f"\n{summary.to_text()}\n" == TEXT_SUMMARY
    assert repr(summary) == str(summary)


def test_latex(comparison, summary):
    assert "\n" + comparison.to_latex() == LATEX_COMPARISON
    assert "\n" + summary.to_latex(fragment=True) == LATEX_SUMMARY


def test_latex_names_only_the_packages_it_needs():
    bare = Table(["a"], [("x", 1)], title="t").to_latex(fragment=True)
    assert bare.startswith("% needs: booktabs\n")
    assert "threeparttable" not in bare


@pytest.mark.parametrize(("columns", "size"), [(3, None), (9, "small"), (10, "footnotesize"), (30, "scriptsize")])
def test_wide_latex_tables_are_set_smaller(columns, size):
    table = Table(["a"] * columns, [("education", *([0.1234] * columns))])
    found = [name for name in ("small", "footnotesize", "scriptsize") if f"\\{name}\n" in table.to_latex()]
    assert found == ([size] if size else [])


def test_labels_that_do_not_fit_are_wrapped():
    columns = ["a long heading"] * 5
    table = Table(columns, [("a label of many words " * 3, *([0.1234] * 5))], title="t")
    latex = table.to_latex()
    assert latex.startswith("% needs: array, booktabs, threeparttable\n")
    assert r"\hangindent=1em" in latex


@pytest.mark.parametrize(("rows", "notes"), [(41, 0), (38, 6), (20, 40)])
def test_tables_longer_than_a_page_break_over_pages(rows, notes):
    table = Table(["n"], [(f"row {i}", i) for i in range(rows)], title="T", key="tab:t", notes=["A note."] * notes)
    latex = table.to_latex()
    assert latex.startswith("% needs: booktabs, longtable\n")
    assert "threeparttable" not in latex
    assert "\\caption{T}\n\\label{tab:t} \\\\\n" in latex
    assert latex.index("\\heavyrulewidth" if notes else "\\bottomrule") < (
        latex.index("A note.") if notes else len(latex)
    )
    fragment = table.to_latex(fragment=True)
    assert "\\begin{longtable}" in fragment
    assert "caption{" not in fragment
    assert "label{" not in fragment
    assert "\\addtocounter{table}{-1}" in fragment
    assert "longtable" not in Table(["n"], table.body[0].rows[:15], title="T").to_latex()


def test_soft_hyphens_of_headings_fall_away_on_one_line():
    table = Table([Column("Accu-\nracy"), Column("With\nhistory", group="g")], [("a", 1, 2)], header="Mo-\ndel")
    assert table.to_frame().columns.tolist() == [("", "Accuracy"), ("g", "With history")]
    assert table.to_frame().index.name == "Model"
    assert "| Model | Accuracy | g: With history |" in table.to_markdown()
    for text in (">Model<", ">Accuracy<", ">With history<"):
        assert text in table.to_html()
    assert "Accu-" in table.to_text()
    assert "Accu-" in table.to_latex()


def test_markdown(comparison):
    assert "\n" + comparison.to_markdown() == MARKDOWN_COMPARISON


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html(comparison, summary):
    assert "\n" + summary.to_html(fragment=True) == HTML_SUMMARY
    for page in (comparison.to_html(), comparison._repr_html_(), summary.to_html()):
        tags = Tags()
        tags.feed(page)
        assert not tags.open
    assert comparison.to_html().startswith("<!DOCTYPE html>")
    assert "50% &lt;raw&gt;" in comparison.to_html()
    assert '<th scope="col">Difference (nats)</th>' in comparison.to_html()


def test_frame_holds_unformatted_values(comparison, summary):
    frame = comparison.to_frame()
    assert frame.loc["MNL & text_x", ("", "Difference (nats)")] == -0.0252
    assert np.isinf(frame.loc["MNL & text_x", ("95% interval", "upper")])
    assert frame.index.name == "Model"
    assert frame.attrs == {"title": "Test perplexity", "facts": {}, "notes": ["Clustered by person."]}
    assert summary.to_frame().loc[("Managers", "exper"), "Coef."] == 1.5
    assert summary.to_frame().attrs["facts"]["Rows"] == 2725
    assert Table([], []).to_frame().shape == (0, 0)


def test_a_frame_becomes_a_table_and_comes_back():
    index = pd.MultiIndex.from_tuples([("A", "x"), ("A", "y"), ("B", "x")], names=["panel", "term"])
    columns = pd.MultiIndex.from_tuples([("", "n"), ("CI", "low")])
    df = pd.DataFrame([[1, 0.5], [2, -1.5], [3, np.nan]], index=index, columns=columns)
    formats, row_formats = {("", "n"): ",d", ("CI", "low"): ".1f"}, {("A", "y"): ".2f"}
    table = Table.from_frame(df, formats=formats, row_formats=row_formats)
    assert [panel.title for panel in table.body] == ["A", "B"]
    assert table.header == "term"
    assert table.columns[1] == Column("low", ".1f", "CI")
    assert table.rows[1].formats == (".2f", ".2f")
    pd.testing.assert_frame_equal(table.to_frame(), df, check_names=False)


def test_missing_values_of_pandas_and_numpy():
    df = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "t": pd.Categorical(["a", None])}, index=["x", "y"])
    assert Table.from_frame(df, formats={"n": ",d"}).to_text().splitlines()[-2].split() == ["y", ".", "."]
    assert Row("r", [np.float32(0.5), np.int64(2), np.str_("s"), pd.NaT]).cells[:3] == (0.5, 2, "s")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Table(["a", "b"], [("x", 1, 2), ("y", 1)]), "2 columns, but row 'y' has 1 cells"),
        (lambda: Table(["a"], ["x"]), "'x' is not a row"),
        (lambda: Column("a", "3f!"), "format of column 'a'='3f!' is not a number format"),
        (lambda: Column("a", align="rigth"), "align='rigth' is not an option.*Did you mean 'right'"),
        (lambda: Row("x", [1, 2], [".1f"]), "row 'x' has 2 cells and 1 formats"),
        (lambda: Fact("x", 1, "?"), "format of fact 'x'"),
        (lambda: Table(["a"], [], key="a b{"), "key='a b{' is not a LaTeX label"),
        (lambda: Table.from_frame(pd.DataFrame({"coef": [1]}), formats={"coeff": ".1f"}), "Did you mean 'coef'"),
        (lambda: Table.from_frame(pd.DataFrame({"coef": [1]}), row_formats={"z": ".1f"}), "row_formats names 'z'"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(OptionError, match=message):
        make()


@pytest.mark.parametrize("method", ["to_text", "to_latex", "to_html", "to_markdown"])
def test_files(comparison, tmp_path, method):
    path = tmp_path / "table.out"
    path.write_text("old")
    text = getattr(comparison, method)(path)
    assert path.read_text(encoding="utf-8").rstrip("\n") == text.rstrip("\n")
    assert [file.name for file in tmp_path.iterdir()] == ["table.out"]
    with pytest.raises(OptionError, match=r"the folder .*missing' does not exist; create it first"):
        getattr(comparison, method)(tmp_path / "missing" / "table.out")
    assert not (tmp_path / "missing").exists()
    with pytest.raises(OptionError, match="is a folder"):
        getattr(comparison, method)(str(tmp_path))


def test_a_failed_write_leaves_the_old_file(comparison, tmp_path, monkeypatch):
    path = tmp_path / "table.tex"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk")

    monkeypatch.setattr("econllm.files.os.replace", fail)
    with pytest.raises(OSError, match="disk"):
        comparison.to_latex(path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_wide_characters_line_up():
    lines = Table(["n"], [("職業", 1), ("e\u0301", 2), ("two\nlines", 3)]).to_text().splitlines()
    assert [len(line) for line in lines[3:6]] == [38, 41, 40]
    assert lines[5].startswith("two lines ")


def test_a_table_is_a_value(summary):
    same = Table(summary.columns, summary.body, title=summary.title, facts=summary.facts, notes=summary.notes)
    assert same == summary
    assert hash(same) == hash(summary)
    with pytest.raises(AttributeError):
        summary.title = "other"


def test_tables_without_rows_print():
    for table in (Table([], []), Table(["a"], []), Table([], [], facts={"Rows": 1}, notes="n", title="t")):
        for text in (table.to_text(), table.to_latex(), table.to_html(), table.to_markdown()):
            assert isinstance(text, str)


def test_a_table_too_wide_for_the_page_is_turned_by_itself():
    wide = Table([f"Column {j}" for j in range(10)], [("a", *range(10))], title="T")
    tall = Table(wide.columns, [("a", *range(10))] * 38, title="T")
    narrow = Table(["n"], [("a", 1)], title="T")
    begin = r"\begin{landscape}"
    assert begin in wide.to_latex()
    assert begin not in wide.to_latex(landscape=False)
    assert begin not in narrow.to_latex()
    assert begin in narrow.to_latex(landscape=True)
    # The document turns the page of a fragment, or does not.
    assert wide.to_latex(fragment=True) == wide.to_latex(fragment=True, landscape=False)
    assert wide.to_latex(fragment=True) != wide.to_latex(fragment=True, landscape=True)
    # A turned page is lower: where a table may not break, it would lose rows.
    assert begin in tall.to_latex()
    assert r"\begin{longtable}" in tall.to_latex()
    assert begin not in tall.to_latex(longtable=False)


def test_findings_turn_their_tables_as_tables_do():
    class Finding(TableExports):
        def table(self):
            return Table([f"Column {j}" for j in range(14)], [("a", *range(14))])

    assert Finding().to_latex() == Finding().table().to_latex()
    assert "pdflscape" in Finding().to_latex()
    assert "pdflscape" not in Finding().to_latex(landscape=False)

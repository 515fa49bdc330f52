import os
import re
import shutil
import subprocess

import pytest

import econllm as el
from econllm.tables import Column, Fact, Panel, Row, Table

HARD = r"""_ & % # $ ^ ~ \ { } < > | " ' ` [x] é ñ Łódź – — − × α ≤ 10² “q” 職 -- \input{x} $x^2$"""

pytestmark = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def has_style(name):
    found = subprocess.run(["kpsewhich", name], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip())


def compile_document(folder, body, preamble="", packages="array,booktabs,longtable,threeparttable"):
    head = rf"\documentclass{{article}}{preamble}\usepackage{{{packages}}}"
    document = rf"{head}\begin{{document}}{body}\end{{document}}"
    (folder / "main.tex").write_text(document, encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        env={**os.environ, "TEXMFVAR": str(folder)},
    )
    assert run.returncode == 0, run.stdout[-2000:]
    assert (folder / "main.pdf").stat().st_size > 1000
    return run.stdout


@pytest.fixture
def tables():
    columns = [Column(HARD[:9], ".3f"), Column("low\n_high", ".2e", f"g {HARD[:20]}"), Column("p", "pvalue"), "Flag"]
    rows = [
        (HARD, -1.5, 1e-5, 0.0001, HARD[:12]),
        ("[b", float("nan"), float("inf"), None, "-1"),
        Row("*", [float("-inf"), 0, 0.5, None], ".1%"),
    ]
    facts = [Fact("Formula", f"y ~ {HARD}"), Fact("%", 0.5, ".1%"), Fact("#_1", 2), Fact("R&D", "a_b")]
    hard = Table(
        columns, [Panel(HARD, rows), Panel("[", rows[1:])], title=HARD, header="#", facts=facts, notes=[HARD, "[n"]
    )
    return [hard, Table(["n"], [("a", 1)], title=HARD, notes=HARD * 3, key="tab:x_1"), Table([], [], facts=facts)]


@pytest.mark.skipif(not has_style("threeparttable.sty"), reason="threeparttable is not installed")
@pytest.mark.parametrize("fonts", ["", r"\usepackage[T1]{fontenc}\usepackage{lmodern}"])
def test_floats_and_fragments_compile(tables, tmp_path, fonts):
    if fonts and not has_style("lmodern.sty"):
        pytest.skip("lmodern is not installed")
    body = r"Table~\ref{tab:x_1}. "
    for i, table in enumerate(tables):
        table.to_latex(tmp_path / f"float{i}.tex")
        table.to_latex(tmp_path / f"part{i}.tex", fragment=True)
        body += rf"\input{{float{i}}}\begin{{table}}\caption{{Mine}}\input{{part{i}}}\end{{table}}\clearpage "
    log = compile_document(tmp_path, body, fonts)
    assert "Missing character" not in log
    assert "undefined on input" not in log.replace("Reference `tab:x_1' on page 1 undefined on input", "")


def compile_table(table, folder, runs=3, **options):
    """Compile with the packages that the table names, three times for cross-references and widths of longtables."""
    latex = table.to_latex(folder / "table.tex", **options)
    packages = re.match("% needs: (.*)", latex)[1].replace(" ", "")
    for _ in range(runs):
        log = compile_document(folder, r"\input{table}", packages=packages)
    return log


def words_of(pdf):
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    run = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True)
    return run.stdout


def long_table(rows, facts=()):
    panels = [Panel(f"Equation {p}", [(f"term {p}.{i}", i / 8, 3.2e44) for i in range(rows // 8)]) for p in range(8)]
    columns = [Column("coef.", ".4f"), Column("Std.\nerror", ".4f", group="g")]
    return Table(columns, panels, title="A long one", facts=facts, notes=["First note.", "Last note. " * 30], key="l")


@pytest.mark.skipif(not has_style("longtable.sty"), reason="longtable is not installed")
@pytest.mark.parametrize("fragment", [False, True])
@pytest.mark.parametrize("rows", [48, 176])
def test_a_long_table_breaks_over_pages(tmp_path, rows, fragment):
    facts = [Fact("Formula", "y ~ " + 9 * "education + "), Fact("Rows", 3048, ",d"), Fact("Persons", 381)]
    log = compile_table(long_table(rows, facts), tmp_path, fragment=fragment)
    assert "Overfull" not in log
    assert "Float too large" not in log
    text = words_of(tmp_path / "main.pdf")
    for p in range(8):
        assert f"Equation {p}" in text
        for i in range(rows // 8):
            assert f"term {p}.{i} " in text
    pages = int(re.search(r"\((\d+) pages?", log)[1])
    assert pages == (2 if rows == 48 else 5)
    assert text.count("coef.") == pages
    assert text.count("(continued)") == pages - 1
    assert text.count("Last note.") == 30
    assert ("A long one" in text) is not fragment


@pytest.mark.skipif(not has_style("longtable.sty"), reason="longtable is not installed")
def test_long_tables_of_every_kind_compile(tables, tmp_path):
    hard = tables[0]
    rows = [row for row in hard.rows for _ in range(12)]
    for table in (
        Table(hard.columns, rows, title=hard.title, key="k", facts=hard.facts, notes=hard.notes),
        Table(hard.columns, rows, key="k"),
        Table([], [("a",) for _ in range(60)]),
        Table(["n"], [("", 1)] * 60, title="T"),
    ):
        assert "longtable" in table.to_latex()
        assert "Missing character" not in compile_table(table, tmp_path)
        compile_table(table, tmp_path, fragment=True)


@pytest.mark.skipif(not has_style("threeparttable.sty"), reason="threeparttable is not installed")
@pytest.mark.parametrize(
    "label", ["Empirical", "Empirical, as printed (improper)", "A model with a name of very many words (improper)"]
)
def test_a_comparison_fits_the_page(tmp_path, label):
    first, second = "Perplexity", "Difference to Empirical"
    columns = [
        Column("All", ".3f", first),
        Column("95% CI", group=first, align="right"),
        Column("With\nhistory", ".3f", first),
        Column("Nats", ".4f", second),
        Column("Ratio", ".3f", second),
        Column("p", "pvalue", second),
        Column("Accu-\nracy", ".3f"),
        Column("Para-\nmeters", ",d"),
        Column("Fit,\nsec.", ".1f"),
    ]
    cells = (4.571, "[4.098, 5.099]", 4.228, -0.0258, 0.975, 0.0001, 0.523, 3465, 12.3)
    table = Table(
        columns, [(label, *cells), ("\u00a0\u00a0SE, test", *([None] * 9))], title="T", header="Model", notes="N."
    )
    log = compile_table(table, tmp_path)
    assert "Overfull" not in log
    text = " ".join(words_of(tmp_path / "main.pdf").split())
    assert all(word in text for word in label.split())


@pytest.mark.skipif(not has_style("threeparttable.sty"), reason="threeparttable is not installed")
def test_facts_and_titles_wider_than_the_page_are_set_below_each_other(tmp_path):
    facts = [
        Fact("A statistic with a long name", "its value of 28 characters"),
        Fact("Another one with a name", "m" * 20),
    ]
    panel = Panel("A title of many words " * 6, [("a", 1.0)])
    assert "Overfull" not in compile_table(Table(["n"], [panel], title="T", facts=facts), tmp_path)


@pytest.mark.skipif(not has_style("longtable.sty"), reason="longtable is not installed")
def test_wide_spanning_headings_and_wrapped_labels_fit_the_page(tmp_path):
    columns = [Column(f"c{j}", ".2e", f"A spanning heading {j}") for j in range(3)]
    labels = ["lag(occupation)[Managers, officials and proprietors]", "A model with many covariates, see notes"]
    table = Table(columns, [(label, 3.2e44, -1e-5, None) for label in labels * 17], title="T")
    log = compile_table(table, tmp_path)
    assert r"\allowbreak" in table.to_latex()
    assert "Overfull" not in log
    assert "Float too large" not in log


def estimates(rows=3, panels=2):
    """Estimates with stars over their standard errors, a comparison, statistics of other kinds below."""
    columns = [
        Column("Short", ".3f", "Sales"),
        Column("Full", ".3f", "Sales"),
        Column("p", "pvalue"),
        Column("n", ",d"),
    ]
    columns += [Column("CI", align="right"), "Flag"]
    lines = []
    for i in range(rows):
        lines += [
            (
                f"educ {i}",
                f"{i - 1.25:.3f}**".replace("-", "\u2212"),
                f"{10 * i}.500***",
                0.0004,
                1234 * i,
                "[-0.1, 0.3]",
                "improper",
            )
        ]
        lines += [("", "(0.100)", "(10.125)", None, None, None, None)]
    last = [
        Row("Observations", ["1,200", "1,200", None, None, None, None]),
        Row("Infinite", [float("nan"), float("-inf"), 0.5, 7, None, "a_b & c"]),
        Row("Share", ["12.5%", "1.2e-05", "-", 3, None, None]),
    ]
    body = [*(Panel(f"Equation {p}", lines) for p in range(panels)), Panel("", last)]
    return Table(columns, body, title="Estimates", header="Term", notes=["A note. " * 20], key="tab:e")


@pytest.mark.skipif(not has_style("siunitx.sty"), reason="siunitx is not installed")
@pytest.mark.parametrize("longtable", [False, True])
@pytest.mark.parametrize("landscape", [False, True])
@pytest.mark.parametrize("siunitx", [False, True])
def test_every_variant_compiles(tmp_path, siunitx, landscape, longtable):
    options = {"siunitx": siunitx, "landscape": landscape, "longtable": longtable}
    log = compile_table(estimates(), tmp_path, runs=2, **options)
    assert "Overfull" not in log
    assert "Missing character" not in log
    needed = re.match("% needs: (.*)", (tmp_path / "table.tex").read_text())[1].split(", ")
    assert ("siunitx" in needed, "pdflscape" in needed, "longtable" in needed) == (siunitx, landscape, longtable)
    text = words_of(tmp_path / "main.pdf")
    for words in ("Estimates", "Equation 1", "10.500***", "(10.125)", "<0.001", "1,234", "[−0.1, 0.3]", "A note."):
        assert words in text
    assert "−1.250**" in text.replace("− ", "−")


@pytest.mark.skipif(not has_style("siunitx.sty"), reason="siunitx is not installed")
@pytest.mark.parametrize("siunitx", [False, True])
def test_fragments_stand_in_floats_on_turned_pages(tmp_path, siunitx):
    options = {"siunitx": siunitx, "landscape": True, "fragment": True}
    latex = estimates().to_latex(tmp_path / "part.tex", **options)
    assert "landscape" not in latex
    body = r"\begin{landscape}\begin{table}\caption{Mine}\input{part}\end{table}\end{landscape}"
    log = compile_document(tmp_path, body, packages="array,booktabs,pdflscape,siunitx,threeparttable")
    assert "Overfull" not in log


@pytest.mark.skipif(not has_style("siunitx.sty"), reason="siunitx is not installed")
@pytest.mark.parametrize("longtable", [False, True])
def test_hard_characters_compile_with_siunitx(tables, tmp_path, longtable):
    for table in tables:
        log = compile_table(table, tmp_path, runs=1, siunitx=True, landscape=True, longtable=longtable)
        assert "Missing character" not in log


@pytest.mark.skipif(not has_style("siunitx.sty"), reason="siunitx is not installed")
def test_siunitx_aligns_points_whatever_stands_around_a_number(tmp_path):
    cells = ["-0.512***", "(10.100)", "<0.001", "7.250", "1.500*"]
    table = Table([Column("b", align="right")], [(f"row{i}", cell) for i, cell in enumerate(cells)], title="T")
    compile_table(table, tmp_path, runs=1, siunitx=True)
    run = subprocess.run(["pdftotext", "-bbox", tmp_path / "main.pdf", "-"], capture_output=True, text=True, check=True)
    ends = dict(re.findall(r'xMax="([\d.]+)"[^>]*>(?:&lt;|\(|\u2212)?\d+\.\d{3}([*)]*)</word>', run.stdout))
    # All numbers have three decimals, so those ends are as far from the points; marks are of ten points.
    ends = [float(end) - sum({"*": 4.981, ")": 3.874}[mark] for mark in marks) for end, marks in ends.items()]
    assert len(ends) == len(cells) - 1  # two have no marks and end at the same place
    assert max(ends) - min(ends) < 0.1


@pytest.mark.skipif(not has_style("longtable.sty"), reason="longtable is not installed")
@pytest.mark.parametrize("rows", [41, 44])
def test_notes_of_a_long_table_never_stand_alone(tmp_path, rows):
    table = Table(["n"], [(f"row {i}", i) for i in range(rows)], title="T", notes=["A note. " * 60])
    compile_table(table, tmp_path)
    last = words_of(tmp_path / "main.pdf").strip("\f").split("\f")[-1]
    assert len(re.findall(r"row \d+", last)) >= 3
    assert " ".join(last.split()).count("A note.") == 60


@pytest.mark.skipif(not has_style("pdflscape.sty"), reason="pdflscape is not installed")
def test_a_landscape_table_has_the_width_of_the_turned_page(tmp_path):
    columns = [Column(f"Model\n{j}", ".3f", f"Group {j // 4}") for j in range(12)]
    table = Table(columns, [(f"term {i}", *[(-1) ** j * i * 7.5 for j in range(12)]) for i in range(6)], title="Wide")
    assert r"\scriptsize" in table.to_latex(landscape=False)
    turned = table.to_latex(landscape=True)
    assert r"\scriptsize" not in turned
    assert turned.startswith("% needs: booktabs, pdflscape, threeparttable\n\\begin{landscape}\n\\begin{table}")
    assert "Overfull" not in compile_table(table, tmp_path, runs=1, landscape=True)


@pytest.fixture(scope="module")
def models_compared():
    """A comparison with every column that it can have, with a bootstrap; all models but one may win."""
    frame = el.datasets.simulate_careers(240, 5, seed=1).to_frame()
    frame["weight"] = 1.0 + frame["person"] % 3
    panel = el.CareerPanel(frame, "person", "year", "occupation", weights="weight")
    train, valid, test = panel.split([0.5, 0.2, 0.3], seed=0)
    models = {"Empirical": el.Empirical(), "Empirical, as printed": el.Empirical(normalization="printed")}
    for name, alpha in {"Logit": 0.001, "Logit, ridge": 0.01, "Strong ridge": 0.1, "MNL": 0.03, "Penalised": 1}.items():
        models[name] = el.MNLogit("occupation ~ lag(occupation)", penalty="l2", alpha=alpha)
    boot = el.bootstrap(models, train, test, validation=valid, replications=3, seed=1)
    fitted = {name: model.fit(train) for name, model in models.items()}
    return el.compare(fitted, test, validation=valid, weights="both", bootstrap=boot)


@pytest.mark.skipif(not has_style("siunitx.sty"), reason="siunitx is not installed")
@pytest.mark.parametrize("siunitx", [False, True])
@pytest.mark.parametrize(("name", "columns"), [("table", 13), ("decomposition", 6), ("wins", 6)])
def test_the_tables_of_a_comparison_fit_the_page(models_compared, tmp_path, name, columns, siunitx):
    table = getattr(models_compared, name)()
    assert len(table.columns) == columns
    log = compile_table(table, tmp_path, runs=1, siunitx=siunitx)
    assert "Overfull" not in log
    assert "Float too large" not in log
    turned = r"\begin{landscape}" in (tmp_path / "table.tex").read_text()
    assert turned is (name == "table")
    if turned:
        assert "Overfull" in compile_table(table, tmp_path, runs=1, siunitx=siunitx, landscape=False)

import os
import shutil
import subprocess

import pytest

from econllm.tables import Column, Fact, Panel, Row, Table

HARD = r"""_ & % # $ ^ ~ \ { } < > | " ' ` [x] é ñ Łódź – — − × α ≤ 10² “q” 職 -- \input{x} $x^2$"""

pytestmark = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def has_style(name):
    found = subprocess.run(["kpsewhich", name], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip())


def compile_document(folder, body, preamble=""):
    head = rf"\documentclass{{article}}{preamble}\usepackage{{booktabs,threeparttable}}"
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

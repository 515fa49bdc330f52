import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from econllm.regtable import COMMON, table

from .samples import Fit, embedding, facts, logit, penalised

HARD = r"""_ & % # $ ^ ~ \ { } < > | " ' ` é – − × α"""

pytestmark = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def compile_latex(made, folder):
    latex = made.to_latex(folder / "table.tex")
    packages = re.match("% needs: (.*)", latex)[1].replace(" ", "")
    text = rf"\documentclass{{article}}\usepackage{{{packages}}}\begin{{document}}\input{{table}}\end{{document}}"
    (folder / "main.tex").write_text(text, encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"],
        cwd=folder, capture_output=True, text=True, errors="replace", timeout=120, check=False,
        env={**os.environ, "TEXMFVAR": str(folder)},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]
    assert "Missing character" not in run.stdout
    return run.stdout


@pytest.mark.parametrize("shape", ["equations", "panels", "long"])
def test_awkward_names_compile(tmp_path, shape):
    titles = {1: "[base] 50%", 2: HARD, 3: "R&D_staff"}
    names = {"a_b": 1.0, "x^2": -0.00001, "C(g)[50% & more]": np.inf, "*": 0.5, "[x]:z": 0.1}
    coefs = {(job, term): value for job in (2, 3) for term, value in names.items()}
    coefs[(COMMON, "stay()")] = 1.0
    hard = Fit(coefs, {"n": 10, HARD: HARD}, facts(titles=titles, cov="by id_1 & g", penalty="L2_#"))
    made = table(
        {HARD: hard, "B_2": logit()}, shape=shape, stars=True, statistic=("se", "t", "p", "ci"), stats=["n", HARD],
        title=HARD, notes=HARD, groups={"#1": ["a_b"]}, collapse={"y/n_%": ["x^2"]}, key="tab:a",
    )  # fmt: skip
    compile_latex(made, tmp_path)


def test_eight_equations_fit_the_page(tmp_path):
    titles = {
        1: "Professional, technical and kindred", 2: "Managers, officials and proprietors", 3: "Sales workers",
        4: "Clerical and kindred", 5: "Craftsmen, foremen and kindred", 6: "Operatives and kindred",
        7: "Laborers and farmers", 8: "Farm laborers and foremen", 9: "Service workers",
    }  # fmt: skip
    coefs = {(job, term): -11.8 for job in range(2, 10) for term in ("educ", "exper", "married", "Intercept")}
    made = table([Fit(coefs, {"n": 4360, "log_likelihood": -8381.19}, facts(titles=titles))], title="Occupations")
    assert "Overfull" not in compile_latex(made, tmp_path)


def test_tables_of_the_usual_size_fit_the_page(tmp_path):
    models = {"Main": logit(), "Penalised": penalised(), "Text": embedding()}
    assert "Overfull" not in compile_latex(table(models, shape="panels", stars=True, title="T"), tmp_path)
    assert "Overfull" not in compile_latex(table([logit(), logit()], stars=True, title="T"), tmp_path)

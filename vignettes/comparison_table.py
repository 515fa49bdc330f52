"""Which model predicts the next occupation best?
===============================================

The comparison table of LABOR-LLM (Athey et al., arXiv 2406.17972) on real careers that ship with linearmodels: 545
young men of the National Longitudinal Survey, 1980 to 1987, in nine occupations (Vella and Verbeek, 1998). Every model
gives P(next occupation | career so far); they are compared by perplexity on persons that no model has seen.
"""

import argparse
import sys
from pathlib import Path

import econllm as el

parser = argparse.ArgumentParser(description="The comparison table of the papers.")
parser.add_argument("--data", type=Path, help="a file of person-years instead of the wage panel; takes half an hour")
options = parser.parse_args(sys.argv[1:])
output = Path("output")
output.mkdir(exist_ok=True)

# %%
# The data: one row per person and year. Static and dynamic columns are known before the occupation of the same year;
# union membership describes the job itself, so it is *lagged*: models see it only from earlier years. The template
# words careers as text; another wording gives "MNL + text" another perplexity (4.30, not 4.34, without `template=`).
# With ``--data PATH`` the same script runs on a survey of one's own, such as an extract of the NLSY97; the columns that
# it should have are those of :func:`econllm.datasets.read_person_years`.
if options.data is None:
    yes_no = {0: "no", 1: "yes"}
    panel = el.CareerPanel(
        el.datasets.load_wage_panel(),
        person="nr",
        time="year",
        occupation="occupation",
        titles=el.datasets.WAGE_PANEL_TITLES,
        static=["black", "hisp"],
        dynamic=["educ", "exper", "married"],
        lagged=["union"],
        template=el.ResumeTemplate(
            dataset="the National Longitudinal Survey of young men",
            record="{time}, schooling {educ}, experience {exper}, married {married}: {title}",
            details=" (union {union})",
            values=dict.fromkeys(("black", "hisp", "married", "union"), yes_no),
        ),
    )
    formula = "occupation ~ lag(occupation) + educ + exper + black + hisp + married + lag(union)"
else:
    panel = el.datasets.read_person_years(options.data)
    known = [*panel.roles.static, *panel.roles.dynamic]
    factors = ["C(birth_year)" if column == "birth_year" else column for column in known]
    formula = " + ".join(["occupation ~ lag(occupation) + lag(occupation, 2) + C(year)", *factors])
print(panel.describe())
train, valid, test = panel.split([0.7, 0.1, 0.2], seed=0)  # by person

# %%
# A career as text, up to the year that is to be predicted:
print()
print(test.resumes()[3].text)

# %%
# The models. The printed formula of the slides has rows that sum to more than one: it is shown, flagged, never ranked.
# Encoding tens of thousands of résumés takes hours on a laptop, so that text is left out for a survey of one's own.
models = {
    "Empirical": el.Empirical(),
    "Printed": el.Empirical(normalization="printed"),
    "MNL": el.MNLogit(formula, penalty="l2"),
    "MNL + text": el.MNLogit("occupation ~ embed(resume)", penalty="l2"),
    "CAREER": el.CAREER(),  # a transformer on coded careers; vignettes/career.py has more of it
}
if options.data is not None:
    del models["MNL + text"]
fitted = {name: model.fit(train, validation=valid, seed=0) for name, model in models.items()}

# %%
# How much depends on which persons were in the training sample, and on the chance of training: refits of every model on
# reweighted persons, networks from two seeds each. Ten replications keep this script quick, and make a standard error
# that is itself uncertain by a quarter; take 100 or more for a paper.
boot = el.bootstrap(fitted, train, test, validation=valid, replications=10, seeds=2, n_jobs=2, seed=0)

# %%
# The table, as text, LaTeX, HTML and figure. "This fitted model" is uncertain by the test sample alone, "this
# procedure" by the training sample, the chance of training and the test sample.
table = el.compare(fitted, test, bootstrap=boot, validation=valid)
print()
print(table)
table.to_latex(output / "comparison.tex")
table.to_html(output / "comparison.html")
table.plot(output / "comparison.png")

# %%
# Where the uncertainty comes from, and who beats whom.
print()
print(table.decomposition())
print()
print(table.wins())
table.plot_decomposition(output / "decomposition.png")

# %%
# Are the probabilities right? Most of what there is to predict is who moves.
diagnostics = el.diagnose(fitted, test)
print()
print(diagnostics)
diagnostics.plot_reliability("move", output / "reliability.png")
diagnostics.plot_roc("move", output / "roc.png")

# %%
# Language models, three ways. "tiny" comes with the package and knows nothing of the world, so that the first two rows
# show how it is done and not how good language models are; vignettes/llm.py has more. Not in the bootstrap, which would
# train ten more of them: they have no standard error of the procedure. The wording is shorter, because time goes by the
# number of tokens; for the same reason they are left out for a survey of one's own.
if options.data is None:
    words = el.ResumeTemplate(
        opening="",
        person="Black {black}, Hispanic {hisp}.",
        record="{time}, {educ} years of school, married {married}: {title}",
        details=" (union {union})",
        closing="",
        values=panel.template.values,
    )
    few = el.Training(epochs=3, batch=16, learning_rate=2e-3, warmup=0.1)
    language = {
        "LLM": el.LLM("tiny", template=words, temperature="validation"),
        "LLM, prompted": el.LLM("tiny", template=words, temperature="validation", prompt=el.Prompt(examples=2)),
        "LLM, fine-tuned": el.LLM("tiny", template=words, tuning="full", training=few),
    }
    everything = fitted | {name: model.fit(train, validation=valid, seed=0) for name, model in language.items()}
    table = el.compare(everything, test, bootstrap=boot, adjust="romano-wolf")
    print()
    print(table)
    table.to_latex(output / "comparison_llm.tex")

# %%
# What the logit found.
print()
print(fitted["MNL"].summary())

# %%
# Simulated careers, where the truth is known: the oracle predicts with the true probabilities, and no model does better
# but by chance. What separates a model from it is what there is left to gain.
simulated = el.datasets.simulate_careers(persons=1500, occupations=20, order=2, seed=1)
train, valid, test = simulated.split([0.7, 0.1, 0.2], seed=0)
models = {
    "Oracle": el.datasets.Oracle(),
    "Empirical": el.Empirical(),
    "Empirical, order 2": el.Empirical(order=2),
    "MNL": el.MNLogit("occupation ~ lag(occupation) + lag(occupation, 2) + educ + exper + sex", penalty="l2"),
    "CAREER": el.CAREER(),
}
fitted = {name: model.fit(train, validation=valid, seed=0) for name, model in models.items()}
truth = el.compare(fitted, test)
print()
print(truth)
truth.plot(output / "simulated.png")

# %%
# What more persons would bring: the same models on parts of the training sample.
few = {name: models[name] for name in ("Empirical", "Empirical, order 2", "MNL")}
curve = el.learning_curve(few, train, test, sizes=[60, 125, 250, 500, 1.0], validation=valid, repeats=3, seed=0)
print()
print(curve)
curve.plot(output / "learning.png")

"""Which model predicts the next occupation best?
===============================================

The comparison table of LABOR-LLM (Athey et al., arXiv 2406.17972) on real careers that ship with linearmodels: 545
young men of the National Longitudinal Survey, 1980 to 1987, in nine occupations (Vella and Verbeek, 1998). Every model
gives P(next occupation | career so far); they are compared by perplexity on persons that no model has seen.
"""

from pathlib import Path

import econllm as el

output = Path("output")
output.mkdir(exist_ok=True)

# %%
# The data: one row per person and year. Static and dynamic columns are known before the occupation of the same year;
# union membership describes the job itself, so it is *lagged*: models see it only from earlier years. The template
# words careers as text; another wording gives "MNL + text" another perplexity (4.30, not 4.34, without `template=`).
df = el.datasets.load_wage_panel()
yes_no = {0: "no", 1: "yes"}
template = el.ResumeTemplate(
    dataset="the National Longitudinal Survey of young men",
    record="{time}, schooling {educ}, experience {exper}, married {married}: {title}",
    details=" (union {union})",
    values=dict.fromkeys(("black", "hisp", "married", "union"), yes_no),
)
panel = el.CareerPanel(
    df,
    person="nr",
    time="year",
    occupation="occupation",
    titles=el.datasets.WAGE_PANEL_TITLES,
    static=["black", "hisp"],
    dynamic=["educ", "exper", "married"],
    lagged=["union"],
    template=template,
)
print(panel.describe())
train, valid, test = panel.split([0.7, 0.1, 0.2], seed=0)  # by person

# %%
# A career as text, up to the year that is to be predicted:
print()
print(test.resumes()[3].text)

# %%
# The models. The printed formula of the slides has rows that sum to more than one: it is shown, flagged, never ranked.
models = {
    "Empirical": el.Empirical(),
    "Printed": el.Empirical(normalization="printed"),
    "MNL": el.MNLogit(
        "occupation ~ lag(occupation) + educ + exper + black + hisp + married + lag(union)", penalty="l2"
    ),
    "MNL + text": el.MNLogit("occupation ~ embed(resume)", penalty="l2"),
    "CAREER": el.CAREER(),  # a transformer on coded careers; vignettes/career.py has more of it
}
fitted = {name: model.fit(train, validation=valid, seed=0) for name, model in models.items()}

# %%
# How much depends on which persons were in the training sample: refits of every model on reweighted persons. Ten keep
# this script quick, and make a standard error that is itself uncertain by a quarter; take 100 or more for a paper. A
# network is trained from a new seed in each, so that its standard error covers the chance of training too.
boot = el.bootstrap(fitted, train, test, validation=valid, replications=10, n_jobs=2, seed=0)

# %%
# The table, as text, LaTeX, HTML and figure.
table = el.compare(fitted, test, bootstrap=boot)
print()
print(table)
table.to_latex(output / "comparison.tex")
table.to_html(output / "comparison.html")
table.plot(output / "comparison.png")

# %%
# Language models, three ways. "tiny" comes with the package and knows nothing of the world, so that the first two rows
# show how it is done and not how good language models are; vignettes/llm.py has more. Not in the bootstrap, which would
# train ten more of them. The wording is shorter, because time goes by the number of tokens.
words = el.ResumeTemplate(
    opening="",
    person="Black {black}, Hispanic {hisp}.",
    record="{time}, {educ} years of school, married {married}: {title}",
    details=" (union {union})",
    closing="",
    values=template.values,
)
few = el.Training(epochs=3, batch=16, learning_rate=2e-3, warmup=0.1)
language = {
    "LLM": el.LLM("tiny", template=words, temperature="validation"),
    "LLM, prompted": el.LLM("tiny", template=words, temperature="validation", prompt=el.Prompt(examples=2)),
    "LLM, fine-tuned": el.LLM("tiny", template=words, tuning="full", training=few),
}
fitted |= {name: model.fit(train, validation=valid, seed=0) for name, model in language.items()}
table = el.compare(fitted, test)
print()
print(table)
table.to_latex(output / "comparison_llm.tex")

# %%
# What the logit found.
print()
print(fitted["MNL"].summary())

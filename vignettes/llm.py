"""Three uses of a language model: it writes, it gives probabilities, it makes vectors
======================================================================================

A language model reads the résumé of a person up to some year. It can *write* an occupation, give the *probability* of
each, and turn the résumé into a *vector* for other models (Athey et al., LABOR-LLM, arXiv 2406.17972). Here it is
"tiny", the small model that comes with the package: it was trained on made-up careers and knows nothing of the world,
so that the figures show how things are done and not how good language models are. With a model of the world, such as
"HuggingFaceTB/SmolLM2-135M", the same script takes longer. The careers are real: 545 young men of the National
Longitudinal Survey (Vella and Verbeek, 1998). Figures go to output/.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import statsmodels.formula.api as smf

import econllm as el

MODEL = "tiny"
output = Path("output")
output.mkdir(exist_ok=True)

# %%
# Careers as text, up to the year that is to be predicted. Time goes by the number of tokens, and how well a model
# predicts by the wording, off the shelf above all: this one is short and reads like English.
df = el.datasets.load_wage_panel()
template = el.ResumeTemplate(
    opening="",
    person="Black {black}, Hispanic {hisp}.",
    record="{time}, {educ} years of school, {married}: {title}",
    details=" ({union})",
    closing="",
    values={
        "black": {0: "no", 1: "yes"},
        "hisp": {0: "no", 1: "yes"},
        "married": {0: "single", 1: "married"},
        "union": {0: "no union", 1: "union"},
    },
)
panel = el.CareerPanel(
    df,
    person="nr",
    time="year",
    occupation="occupation",
    titles=el.datasets.WAGE_PANEL_TITLES,
    static=["black", "hisp"],
    dynamic=["educ", "married"],
    lagged=["union"],
    template=template,
)
train, valid, test = panel.split([0.7, 0.1, 0.2], seed=0)  # by person
print(test.resumes()[5].text)

# %%
# The model off the shelf; with careers of two other men in front of every résumé; and fine-tuned on 381 men.
# Validation persons choose the epoch, and the temperature that corrects a model that is too sure of itself.
short = el.Training(epochs=3, batch=16, learning_rate=2e-3, warmup=0.1)
models = {
    "Empirical": el.Empirical(),
    "Off the shelf": el.LLM(MODEL),
    "Recalibrated": el.LLM(MODEL, temperature="validation"),
    "Prompted": el.LLM(MODEL, prompt=el.Prompt(examples=2), temperature="validation"),
    "Fine-tuned": el.LLM(MODEL, tuning="full", training=short),
}
fitted = {name: model.fit(train, validation=valid, seed=0) for name, model in models.items()}
shelf, tuned = fitted["Off the shelf"], fitted["Fine-tuned"]
print()
print(tuned.summary())
tuned.history.plot(output / "llm_history.png")

# %%
# Use 1: it writes. Texts are matched to the nine titles, exactly or to the nearest; off the shelf, many are no titles.
some = test.subset(test.persons[:8])
before, after = (fit.generate(some, n=3, seed=0) for fit in (shelf, tuned))
print()
print(f"No titles: {before.invalid:.0%} of the texts off the shelf, {after.invalid:.0%} after fine-tuning. At first:")
print(before.frame[["text", "match"]].head(4).to_string())
print()
print(tuned.generate(some, num_beams=3))

# %%
# Use 2: probabilities. Every title's is computed from those of its tokens, without a draw. Frequencies among drawn
# texts come near them, at many times the cost, and a title that was not drawn has probability zero.
exact = tuned.predict_proba(some)
realised = some.choices.positions(some.to_frame()["occupation"])
each = np.arange(len(some))
print()
print("draws  mean error  Monte Carlo SE  realised title never drawn")
for draws in (10, 100):
    sampled = tuned.sampled_proba(some, draws=draws, seed=0)
    error = np.abs(sampled.proba.to_numpy() - exact.to_numpy()).mean()
    never = (sampled.proba.to_numpy()[each, realised] == 0).mean()
    print(f"{draws:5d}  {error:10.4f}  {sampled.std_errors.to_numpy().mean():14.4f}  {never:26.1%}")

# %%
# How good the probabilities are, on men that no model has seen. The mass is what a model gives the nine titles among
# all texts it could write; probabilities are divided by it.
print()
print(el.compare(fitted, test))
print()
print("Mean probability of the nine titles together:")
print({name: round(fitted[name].title_mass, 5) for name in ("Off the shelf", "Prompted", "Fine-tuned")})

# %%
# Where the network looks when it is about to predict the last year of a man who moved around, record by record.
rows = test.to_frame()
moves = rows.groupby("nr")["occupation"].nunique()
row = rows.index[rows["nr"] == moves.idxmax()][-1]
tuned.attention(test, row).by_record().plot(path=output / "llm_attention.png")

# %%
# Use 3: vectors. The fine-tuned network is written to a folder, which `embed` reads like any other model: here as
# regressors of a multinomial logit, beside the vectors that the network made before it was fine-tuned.
with TemporaryDirectory() as folder:
    path = Path(folder) / "model"
    tuned.export(path)
    logits = {
        "Vectors off the shelf": el.MNLogit(f"occupation ~ embed(resume, model={MODEL!r})", penalty="l2"),
        "Vectors fine-tuned": el.MNLogit(f"occupation ~ embed(resume, model={path.as_posix()!r})", penalty="l2"),
    }
    beside = {name: logit.fit(train, validation=valid) for name, logit in logits.items()}
    print()
    print(el.compare({"Empirical": fitted["Empirical"], **beside}, test))

    # And in other software: wages of test persons, given what the network makes of their careers before the year.
    history = el.embed.fitted(train.resumes(), model=str(path), components=4)
    wages = rows.join(df["lwage"]).assign(resume=test.resumes())
    clustered = {"cov_type": "cluster", "cov_kwds": {"groups": wages["nr"]}}
    without = smf.ols("lwage ~ educ + married", wages).fit(**clustered)
    adjusted = smf.ols("lwage ~ educ + married + history(resume)", wages).fit(**clustered)
    print()
    print(el.table({"Without": without, "History": adjusted}, terms=["educ", "married"], stats=["n", "r2"]))

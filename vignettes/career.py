"""CAREER on real careers: training, attention, neighbours, rationales, a forecast
================================================================================

545 young men of the National Longitudinal Survey, 1980 to 1987, in nine occupations (Vella and Verbeek, 1998; the data
come with linearmodels). CAREER (Vafa et al., arXiv 2202.08370) is a small transformer that reads a career and gives
P(stay) and P(next occupation | move). Everything runs on a laptop, without a network connection. Figures go to output/.
"""

from pathlib import Path

import econllm as el

output = Path("output")
output.mkdir(exist_ok=True)

# %%
# The data: union membership describes the job itself, so the model sees it only from the record before.
df = el.datasets.load_wage_panel()
panel = el.CareerPanel(
    df,
    person="nr",
    time="year",
    occupation="occupation",
    titles=el.datasets.WAGE_PANEL_TITLES,
    static=["black", "hisp"],
    dynamic=["educ", "exper", "married"],
    lagged=["union"],
)
train, valid, test = panel.split([0.7, 0.1, 0.2], seed=0)  # by person

# %%
# Training. Sizes and number of epochs go by the number of transitions; the validation persons choose the epoch whose
# weights are kept.
fit = el.CAREER().fit(train, validation=valid, seed=0)
print(fit.summary())
fit.history.plot(output / "career_history.png")

# %%
# How good it is, on persons that no model has seen, beside a logit in the last occupation and the same covariates.
logit = el.MNLogit(
    "occupation ~ lag(occupation) + educ + exper + black + hisp + married + lag(union)", penalty="l2"
).fit(train, validation=valid)
print()
print(el.compare({"MNL": logit, "CAREER": fit}, test))

# %%
# Staying and moving: P(move) row by row, missing at first records. On average it should be the share of moves.
moves = fit.move_proba(test)
rows = test.to_frame()
moved = rows["occupation"] != rows.groupby("nr")["occupation"].shift()
print()
print(f"Mean probability of leaving the last occupation: {moves.mean():.3f}")
print(f"Share of records in which it was left:           {moved[moves.notna()].mean():.3f}")

# %%
# Where the network looks in one career: every row of a panel sums to one over the records it looks at. A weight says
# what is read, not what matters for the probability.
person = test.persons[9]
attention = fit.attention(test, person)
print()
looks = attention.frame(layer=2, head=1).query("record == 8")
print(looks[["looks_at_label", "weight"]].round(3).to_string(index=False))
attention.plot(output / "career_attention.png")

# %%
# Which records suffice for a prediction: the row's own record first (it carries the last occupation and how long it has
# lasted), then the earlier ones that raise the probability of what happened most, until it is the most probable
# occupation. The row shown is the one whose probability gains most from records before its own: a man who goes back.
last = rows.groupby("nr").tail(1).index
rationales = [fit.rationale(test, row) for row in last]
needed = [r for r in rationales if r.reached and len(r.frame) > 1]
print()
print(f"{sum(r.reached for r in rationales)} of {len(last)} occupations of 1987 become the most probable one,")
print(f"{len(needed)} of them only with records before the last. One of these:")
print(max(needed, key=lambda r: r.frame["probability"].iloc[-1] - r.frame["probability"].iloc[0]))

# %%
# Occupations as destinations: near each other are those that the same people move to. (The vectors that occupations
# have as the last one held start at random, and so few records move them little: their neighbours are mostly chance.)
jobs = fit.occupation_embeddings()
print()
print(jobs.neighbours("Craftsmen, foremen and kindred", k=3))
jobs.plot(output / "career_occupations.png")

# %%
# A forecast from 1984 on: a model that has seen nothing after 1983 simulates 200 paths per person, and what happened is
# scored under their average. The first record ahead needs no path; later ones are harder.
past, later = panel.split_time(1983)
learn, held = past.split([0.9, 0.1], seed=0)
known = el.CAREER().fit(learn, validation=held, seed=0)
forecast = known.forecast(later, cutoff=1983, draws=200, seed=0)
print()
print(forecast)

# %%
# Careers beyond the data: five more years, with experience going on and all other columns held.
paths = fit.simulate(test, horizon=5, draws=20, seed=0, covariates=lambda new: new.assign(exper=new["exper"] + 1))
shares = paths.groupby("year")["occupation"].value_counts(normalize=True).unstack()
print()
print(shares.rename(columns=el.datasets.WAGE_PANEL_TITLES).T.round(3).to_string())

"""The summary of a multinomial logit, with the labels of the data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from econllm.base import summary_facts
from econllm.choices import ChoiceSet
from econllm.mnlogit.estimates import Estimates, reserved_probability
from econllm.tables import Column, Fact, Panel, Row, Table, interval

if TYPE_CHECKING:
    from econllm.mnlogit.results import MNLogitResults

_MOST_ROWS = 300


def summary_table(results: MNLogitResults, estimates: Estimates) -> Table:
    """Describe sample, estimation and coefficients; see :meth:`MNLogitResults.summary`.

    Parameters
    ----------
    results : MNLogitResults
        The result.
    estimates : Estimates
        Its numbers.

    Returns
    -------
    Table
    """
    penalty, solution = results.model.penalty, estimates.solution
    facts = [
        *summary_facts(results),
        Fact("Penalty", "none" if penalty is None else f"L2, alpha = {estimates.alpha:.3g} ({estimates.alpha_rule})"),
        Fact(
            "Optimiser", f"{'converged' if solution.converged else 'NOT CONVERGED'} in {solution.iterations} iterations"
        ),
    ]
    title = f"Multinomial logit of {estimates.labels.get(results.outcome, results.outcome)}"
    notes = _notes(results, estimates)
    count = len(results.params)
    if count > _MOST_ROWS:
        notes.append(f"{count:,} coefficients, see params; the norm is the root of the sum of squares.")
        columns: list[str | Column] = [Column("columns", ",d"), Column("norm", ".3f")]
        return Table(columns, _term_rows(results, estimates), title=title, header="term", facts=facts, notes=notes)
    columns = [Column("coef.", ".4f")]
    if estimates.cov is not None:
        columns += [Column("std. err.", ".4f"), Column("z", ".2f"), Column("p", "pvalue"), Column("95% CI")]
    return Table(columns, _panels(results, estimates), title=title, facts=facts, notes=notes)


def display_name(term: str, labels: Mapping[str, str], outcome: str, choices: ChoiceSet) -> str:
    """Write a column's name for a reader: variable labels for columns, titles for codes of occupations.

    Parameters
    ----------
    term : str
        Such as ``lag(occupation)[5]``.
    labels : mapping of str to str
        Variable labels by column.
    outcome : str
        The column that holds occupations.
    choices : ChoiceSet
        Their titles.

    Returns
    -------
    str

    Examples
    --------
    >>> jobs = ChoiceSet([4, 5], ["Clerk", "Cook"])
    >>> display_name("lag(job)[5]:educ", {"educ": "years of schooling"}, "job", jobs)
    'lag(job)[Cook]:years of schooling'
    """
    titles = {str(code): title for code, title in zip(choices.codes, choices.titles, strict=True)}
    parts = re.split(r"(\[[^\[\]]*\])", term)
    out, factor = "", ""
    for part in parts:
        if part.startswith("["):
            of_outcome = re.search(rf"(?<!\w){re.escape(outcome)}(?!\w)", factor)
            out += f"[{titles.get(part[1:-1], part[1:-1])}]" if of_outcome else part
            continue
        factor = part
        for name, label in labels.items():
            part = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w(.])", lambda _, text=label: text, part)
        out += part
    return out


def _panels(results: MNLogitResults, estimates: Estimates) -> list[Panel]:
    panels = []
    for code, part in results.tidy().groupby("response", sort=False):
        rows = []
        for r in part.to_dict("records"):
            cells = [r["estimate"]]
            if estimates.cov is not None:
                cells += [r["std_error"], r["statistic"], r["p_value"], interval(r["lower"], r["upper"], ".4f")]
            rows.append(Row(_display(r["term"], results, estimates), cells))
        title = results.choices.title(code)
        panels.append(Panel(title if title == str(code) else f"{code} {title}", rows))
    return panels


def _term_rows(results: MNLogitResults, estimates: Estimates) -> list[Row]:
    squares = (estimates.slopes - estimates.slopes.mean(axis=1, keepdims=True)) ** 2
    terms = np.array(estimates.terms)
    rows = []
    for term in dict.fromkeys(estimates.terms):
        at = terms == term
        rows.append(Row(_display(term, results, estimates), [int(at.sum()), float(np.sqrt(squares[at].sum()))]))
    return rows


def _display(term: str, results: MNLogitResults, estimates: Estimates) -> str:
    return display_name(term, estimates.labels, results.outcome, results.choices)


def _notes(results: MNLogitResults, estimates: Estimates) -> list[str]:
    e, unseen = estimates, results.info.unseen
    notes = []
    if e.base is not None:
        notes.append(f"Base outcome: {results.choices.titles[e.seen[e.base]]}.")
    else:
        notes.append("Coefficients sum to zero over outcomes; they are symmetric, there is no base outcome.")
    if results.model.penalty:
        notes.append("Coefficients are penalised: no standard errors are shown.")
    elif e.cov is None:
        notes.append("Standard errors are not available: the information matrix is singular or too large to form.")
    else:
        notes.append("Standard errors: nonrobust, inverse of the observed information.")
    if e.omitted:
        notes.append(f"Omitted, spanned by other columns: {', '.join(e.omitted)}.")
    if unseen:
        share = reserved_probability(results.model.pseudo_count, e.rows, len(unseen))
        notes.append(
            f"{len(unseen)} outcomes of the choice set never occur; each has a reserved probability of {share:.2g}."
        )
    return notes

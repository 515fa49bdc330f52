"""The summary of a multinomial logit."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from econllm.base import summary_facts
from econllm.metrics import check_level
from econllm.multinomial.estimates import Estimates, reserved_probability
from econllm.regtable import COMMON
from econllm.regtable.cells import Style, estimate_cell, exponentiate, statistic_cell
from econllm.regtable.naming import Name, Pattern, labelled
from econllm.regtable.select import arrange, choose_terms, condense, line_names, names_of
from econllm.regtable.source import Source, choose_outcomes, read_model
from econllm.tables import Column, Fact, Panel, Row, Table

if TYPE_CHECKING:
    from econllm.multinomial.results import MNLogitResults

# With more lines of coefficients than this, a summary shows terms only, unless it is asked for some of them.
_MOST_LINES = 300
_DIGITS = 4


def summary_table(
    results: MNLogitResults,
    estimates: Estimates,
    *,
    outcomes: Sequence[Hashable] | None = None,
    terms: Sequence[Pattern] | None = None,
    level: float = 0.95,
    exp: bool = False,
) -> Table:
    """Describe sample, estimation and coefficients; see :meth:`MNLogitResults.summary`.

    Parameters
    ----------
    results : MNLogitResults
        The result.
    estimates : Estimates
        Its numbers.
    outcomes : sequence, optional
        Equations to show, by code or title.
    terms : sequence of str or re.Pattern, optional
        Coefficients to show, by column, term or label, or by a compiled regular expression.
    level : float
        Coverage of the intervals.
    exp : bool
        Whether to show relative risk ratios.

    Returns
    -------
    Table

    Raises
    ------
    OptionError
        For an outcome or a term that does not exist.
    """
    check_level(level)
    source = read_model("", results, level)
    chosen = choose_outcomes([source], outcomes, {})
    names = names_of(chosen, {})
    shown = condense(choose_terms(chosen, names, terms, ()), names, terms)[0]
    title = f"Multinomial logit of {source.facts.outcome_label}"
    facts, notes = _facts(results, estimates, source), _notes(results, estimates, shown, exp=exp)
    if outcomes is None and terms is None and len(shown.coefs) > _MOST_LINES:
        notes.append(
            f"{len(source.coefs):,} coefficients, see params, or summary(outcomes=..., terms=...); the norm is the "
            "root of the sum of squares of the coefficients, their mean over outcomes subtracted."
        )
        columns: list[str | Column] = [Column("columns", ",d"), Column("norm", ".3f")]
        return Table(columns, _term_rows(estimates, source), title=title, header="term", facts=facts, notes=notes)
    style = Style(("se", "t", "p", "ci") if shown.has_errors else (), digits=_DIGITS, level=level, below=False, exp=exp)
    words = {"SE": "std. err.", "t": "z", "exp(coef.)": "exp(coef.)" if estimates.base is None else "RRR"}
    columns = [Column(words.get(heading, heading), align="right") for heading in style.headings]
    lines = line_names([shown], names, {})
    if exp:
        shown = shown.with_coefs(exponentiate(shown.coefs))
    return Table(columns, _panels(shown, lines, arrange(lines, terms), style), title=title, facts=facts, notes=notes)


def _panels(source: Source, lines: dict[str, Name], order: Sequence[str], style: Style) -> list[Panel]:
    place = {column: i for i, column in enumerate(order)}
    panels = []
    codes = dict.fromkeys([COMMON, *source.responses])
    for code in codes:
        part = source.coefs[source.coefs["response"] == code]
        rows = []
        for record in sorted(part.to_dict("records"), key=lambda r: place[r["column"]]):
            line = {str(name): value for name, value in record.items()}
            parts = [estimate_cell(line, style), *(statistic_cell(line, name, style) for name in style.statistics)]
            rows.append(Row(lines[line["column"]].label, [value for value, _ in parts], [spec for _, spec in parts]))
        title = source.facts.title(code)
        panels += [Panel(title if code == COMMON or title == str(code) else f"{code} {title}", rows)] if rows else []
    return panels


def _term_rows(estimates: Estimates, source: Source) -> list[Row]:
    """A line per term over all outcomes: its columns and the norm of its coefficients."""
    e = estimates
    slopes = e.point.slopes - e.point.slopes.mean(axis=1, keepdims=True)
    squares = np.concatenate([(slopes**2).sum(axis=1), e.point.shared**2])
    sums = pd.DataFrame({"term": [*e.terms, *e.shared_columns], "square": squares})
    found = sums.groupby("term", sort=False)["square"].agg(["size", "sum"])
    return [
        Row(labelled(str(term), source.facts, {}), [size, np.sqrt(total)])
        for term, size, total in found.itertuples(name=None)
    ]


def _facts(results: MNLogitResults, estimates: Estimates, source: Source) -> list[Fact]:
    numbers, solution = source.statistics, estimates.solution
    fit = [
        Fact("Null log-likelihood", numbers["null_log_likelihood"], ",.2f"),
        Fact("Pseudo R²", numbers["pseudo_r2"], ".4f"),
        Fact("AIC", numbers["aic"], ",.1f"),
        Fact("BIC", numbers["bic"], ",.1f"),
        Fact("Parameters", numbers["parameters"], ",d"),
    ]
    penalty, effective = source.facts.penalty or "none", numbers["effective_df"]
    if source.facts.penalty and not np.isnan(effective):
        penalty += f", effective degrees of freedom {effective:,.1f}"
    ended = "converged" if solution.converged else "NOT CONVERGED"
    times = "iteration" if solution.iterations == 1 else "iterations"
    how = f"{ended} in {solution.iterations} {times}, gradient norm {solution.gradient:.1e}"
    return [
        *(fact for fact in summary_facts(results) if fact.label != "Seconds"),
        *(fact for fact in fit if not (isinstance(fact.value, float) and np.isnan(fact.value))),
        Fact("Penalty", penalty),
        Fact("Optimiser", f"{how}, {results.info.seconds:.1f} seconds in all"),
        Fact("Standard errors", results.cov_description),
    ]


def _notes(results: MNLogitResults, estimates: Estimates, shown: Source, *, exp: bool) -> list[str]:
    e, unseen = estimates, results.info.unseen
    notes = []
    if e.base is not None:
        notes.append(f"Base outcome: {results.choices.titles[e.seen[e.base]]}.")
    elif e.sparse:
        notes.append("Coefficients are symmetric, there is no base outcome; the penalty sets some of them to zero.")
    else:
        notes.append("Coefficients sum to zero over outcomes; they are symmetric, there is no base outcome.")
    if results.model.penalty and not shown.has_errors:
        notes.append("Coefficients are penalised: no standard errors are shown.")
    if exp:
        what = "Relative risk ratios (RRR), exp(coefficient)"
        what = what if e.base is not None else "exp(coefficient), relative to the geometric mean of all outcomes"
        notes.append(f"{what}{'; standard errors by the delta method' if shown.has_errors else ''}.")
    if (shown.coefs["count"] > 1).any():
        notes.append("Norm: root of the sum of the squared coefficients of a term's columns.")
    if shown.hidden:
        notes.append(f"{shown.hidden:,} coefficients not shown.")
    if e.omitted:
        notes.append(f"Omitted, spanned by other columns: {', '.join(e.omitted)}.")
    if e.separated:
        notes.append(f"SEPARATION: {e.separated}; its standard error means nothing.")
    if unseen:
        share = reserved_probability(results.model.pseudo_count, e.rows, len(unseen))
        many = (
            "outcome of the choice set never occurs; it"
            if len(unseen) == 1
            else "outcomes of the choice set never occur; each"
        )
        notes.append(f"{len(unseen)} {many} has a reserved probability of {share:.2g}.")
    if not np.isclose(e.log_likelihood, results.info.log_likelihood, rtol=1e-9, atol=1e-6):
        kind = [*(["weighted"] if results.info.weighted else []), *(["over the outcomes that occur"] if unseen else [])]
        notes.append(
            f"Pseudo R², AIC and BIC are of the log-likelihood {e.log_likelihood:,.2f}, which is {' and '.join(kind)}."
        )
    return notes

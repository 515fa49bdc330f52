"""table(): estimates of several models side by side."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from econllm.errors import OptionError, check_option
from econllm.metrics import check_level
from econllm.regtable.cells import Stars, Statistic, exponentiate, make_style
from econllm.regtable.naming import Labels, Pattern
from econllm.regtable.notes import notes_for
from econllm.regtable.select import arrange, choose_terms, collapse_terms, condense, gather, line_names, names_of
from econllm.regtable.shapes import Content, equations, long, panels
from econllm.regtable.source import choose_outcomes, read_models
from econllm.regtable.statistics import Stats, stat_rows
from econllm.tables import Table

Shape: TypeAlias = Literal["equations", "panels", "long"]

_SHAPES = {"equations": equations, "panels": panels, "long": long}


def table(
    models: Mapping[str, Any] | Sequence[Any],
    *,
    shape: Shape = "equations",
    outcomes: Sequence[Hashable] | None = None,
    terms: Sequence[Pattern] | None = None,
    drop: Sequence[Pattern] = (),
    order: Sequence[Pattern] | None = None,
    groups: Mapping[str, Sequence[Pattern]] | None = None,
    collapse: Mapping[str, Sequence[Pattern]] | None = None,
    labels: Labels | None = None,
    statistic: Statistic | Sequence[Statistic] | None = "se",
    below: bool = True,
    stars: Stars = None,
    digits: int = 3,
    exp: bool = False,
    level: float = 0.95,
    stats: Stats = None,
    title: str = "",
    notes: str | Sequence[str] = (),
    key: str | None = None,
) -> Table:
    """Put the estimates of one or several models into a table.

    Parameters
    ----------
    models : mapping or sequence
        Results by heading, or a list, whose headings are (1), (2), and so on. A result is anything with ``tidy()``
        and ``glance()``, or a result of statsmodels or linearmodels.
    shape : {"equations", "panels", "long"}
        Equations as columns and terms as rows; one panel of rows per outcome and models as columns; or everything
        below each other with a column per statistic.
    outcomes : sequence, optional
        Equations to show, by code or title, in this order.
    terms : sequence of str or re.Pattern, optional
        Coefficients to show, in this order: a column, a term of the formula or a label, written exactly, or a compiled
        regular expression that is searched in them.
    drop : sequence of str or re.Pattern
        Coefficients to leave out; a note counts them.
    order : sequence of str or re.Pattern, optional
        Coefficients that come first. By default the order of the models, with the intercept last.
    groups : mapping of str to sequence of str or re.Pattern, optional
        Titles, and the coefficients that stand under them.
    collapse : mapping of str to sequence of str or re.Pattern, optional
        Labels of rows that say yes or no in place of the coefficients, as for year dummies.
    labels : mapping, optional
        New names of columns, terms, variables inside names, and outcomes (by code); keys that are compiled regular
        expressions are replaced as by ``re.sub``.
    statistic : {"se", "t", "p", "ci"} or sequence of them, optional
        What goes with every estimate; None for nothing.
    below : bool
        Whether it stands below the estimate or in columns beside it. The long shape has columns always.
    stars : bool or mapping of str to float, optional
        Symbols and the p-values below which they are printed; True for ``{"*": 0.1, "**": 0.05, "***": 0.01}``.
    digits : int
        Decimals of estimates.
    exp : bool
        Whether to print exp(coefficient), which in a multinomial logit is a relative risk ratio.
    level : float
        Coverage of the intervals.
    stats : sequence, mapping or None
        Rows of statistics: names out of ``glance()``, "outcome_mean" for the share of every outcome, and mappings from
        a label to a name, a function of a result, or a list of values, one per model. A value that is itself a mapping
        has one number per outcome code.
    title, key : str
        Caption and LaTeX label.
    notes : str or sequence of str
        Notes that follow those about the numbers.

    Returns
    -------
    Table

    Raises
    ------
    OptionError
        Naming the option that is wrong and the nearest valid choice.

    Notes
    -----
    A term of more than 30 columns, and every ``embed(...)``, takes one line per equation with the norm of its
    coefficients, unless `terms` asks for it. Estimates without standard errors, as those of penalised fits, are
    printed without; the notes say so, and name the kind of standard errors of all others.

    Examples
    --------
    >>> import pandas as pd
    >>> import statsmodels.formula.api as smf
    >>> df = pd.DataFrame({"y": [1.0, 2.0, 2.0, 4.0, 3.0], "x": [0.0, 1, 2, 3, 4], "z": [1.0, 0, 0, 1, 0]})
    >>> fits = [smf.ols(formula, df).fit() for formula in ("y ~ x", "y ~ x + z")]
    >>> print(table(fits, stats=["n", "r2"]))
    ========================================
                                (1)      (2)
                                  y        y
    ----------------------------------------
    x                         0.600    0.673
                            (0.231)  (0.236)
    z                                  0.727
                                     (0.680)
    Intercept                 1.200    0.764
                            (0.566)  (0.687)
    ----------------------------------------
    Observations                  5        5
    R²                        0.692    0.804
    ========================================
    Standard errors in parentheses:
    nonrobust.
    """
    check_option("shape", shape, tuple(_SHAPES))
    check_level(level)
    check_option("exp", exp, [True, False])
    check_option("below", below, [True, False])
    written = [notes] if isinstance(notes, str) else notes
    if not isinstance(written, Sequence) or not all(isinstance(note, str) for note in written):
        raise OptionError(f"notes={notes!r} must be a text or a list of texts.")
    for name, text in (("title", title), ("key", "" if key is None else key)):
        if not isinstance(text, str):
            raise OptionError(f"{name}={text!r} must be a text.")
    style = make_style(statistic, stars, digits, level, below=below and shape != "long", exp=exp)
    labels = dict(labels or {})
    sources = read_models(models, level)
    rows = stat_rows(sources, stats)
    sources = [source.relabelled(labels) for source in choose_outcomes(sources, outcomes, labels)]
    names = names_of(sources, labels)
    chosen = choose_terms(sources, names, terms, drop)
    rest, present = collapse_terms(chosen, names, collapse or {})
    shown = condense(rest, names, terms)
    lines = line_names(shown, names, labels)
    if exp:
        shown = [source.with_coefs(exponentiate(source.coefs)) for source in shown]
    members = gather(lines, arrange(lines, terms if order is None else order), groups or {})
    columns, body = _SHAPES[shape](Content(shown, lines, members, present, rows, style))
    return Table(columns, body, title=title, notes=[*notes_for(shown, style), *written], key=key)

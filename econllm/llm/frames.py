"""Data frames whose rows are texts with a label."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from econllm.encoders import check_texts
from econllm.errors import DataError, FormulaError, check_columns
from econllm.formula.parse import parse
from econllm.panel import CareerPanel
from econllm.sample import Data
from econllm.text import Resume


def check_data(formula: str | None, data: Data) -> Data:
    """The data, or an error that says of which kind they must be.

    Parameters
    ----------
    formula : str or None
        As in ``"sentiment ~ sentence"``; None for careers.
    data : CareerPanel or DataFrame
        What was given.

    Raises
    ------
    DataError
        For a panel where a formula reads a data frame, and the other way round.
    MissingColumnError
        If a data frame lacks the texts.

    Examples
    --------
    >>> len(check_data("sentiment ~ sentence", pd.DataFrame({"sentence": ["Sales rose."]})))
    1
    """
    if formula is None:
        if not isinstance(data, CareerPanel):
            raise DataError(
                f"data is a {type(data).__name__}; give a CareerPanel, or formula='label ~ text' and a DataFrame."
            )
        return data
    if not isinstance(data, pd.DataFrame):
        raise DataError(
            f"formula={formula!r} reads texts from a data frame, and data is a {type(data).__name__}; a CareerPanel "
            "needs no formula."
        )
    check_columns(data, [parse_formula(formula)[1]], "text")
    return data


def parse_formula(formula: str) -> tuple[str, str]:
    """Read the outcome and the text column of a formula.

    Parameters
    ----------
    formula : str
        As in ``"sentiment ~ sentence"``; names with blanks in backquotes.

    Returns
    -------
    tuple of two str

    Raises
    ------
    FormulaError
        If there is not exactly one column on either side.

    Examples
    --------
    >>> parse_formula("sentiment ~ `the sentence`")
    ('sentiment', 'the sentence')
    """
    parsed = parse(formula)
    factors = [factor for term in (*parsed.terms, *parsed.alternatives) for factor in term.factors]
    if len(factors) != 1 or not factors[0].is_column or not parsed.intercept:
        raise FormulaError(
            f"formula {formula!r} must have one column of texts on the right, untransformed, as in "
            "'sentiment ~ sentence': a language model reads the text itself."
        )
    if factors[0].text == parsed.outcome:
        raise FormulaError(f"formula {formula!r} predicts {parsed.outcome!r} from itself.")
    return parsed.outcome, factors[0].text


def texts_of(frame: pd.DataFrame, column: str) -> list[str]:
    """Texts of a column.

    Raises
    ------
    MissingColumnError, DataError
        If there is no such column, or texts are missing or of another kind.

    Examples
    --------
    >>> texts_of(pd.DataFrame({"s": ["Sales rose."]}), "s")
    ['Sales rose.']
    """
    check_columns(frame, [column], "text")
    return [text if isinstance(text, str) else text.text for text in check_texts(frame[column], column)]


def questions(texts: Sequence[str], outcome: str) -> list[Resume]:
    r"""Put texts so that a label must follow, one record each.

    Examples
    --------
    >>> questions(["Sales rose."], "sentiment")[0].text
    'Sales rose.\nsentiment:'
    """
    return [Resume("", (f"{text}\n{outcome}:",)) for text in texts]

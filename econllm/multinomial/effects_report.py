"""The words of a table of marginal effects: notes and titles."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from econllm.formula.history import HISTORY_TERMS

if TYPE_CHECKING:
    from econllm.multinomial.large import DirectionalCovariance
    from econllm.multinomial.results import MNLogitResults

_PAST = tuple(f"{term}(" for term in HISTORY_TERMS)


def effects_notes(
    results: MNLogitResults, variables: Sequence[str], covariance: DirectionalCovariance | None
) -> Iterator[str]:
    """Say what the numbers are: kind of standard errors or why there are none, what the past means, what is left out.

    Parameters
    ----------
    results : MNLogitResults
        The fit.
    variables : sequence of str
        Variables whose effects are shown.
    covariance : DirectionalCovariance or None
        Covariance that was used in place of the fit's.

    Yields
    ------
    str
    """
    inference = results._estimates.inference
    if covariance is not None:
        yield f"Standard errors: delta method, {covariance.description}; for the rows as they are."
    elif inference.replicates is not None:
        yield f"Standard errors: {inference.words}; intervals are percentiles."
    elif inference.cov is not None:
        yield f"Standard errors: delta method, {inference.words}; for the rows as they are."
    else:
        cures = f"{cure(results)} gives them"
        if results.model.penalty not in ("l1", "elasticnet"):
            cures = f"{cures}, and so does covariance=results.directional(data)"
        yield f"Standard errors of the coefficients: {inference.words}. So there are none of effects; {cures}."
    past = [name for name in dict.fromkeys(variables) if name.startswith(_PAST)]
    if past:
        yield (
            f"Effects of {in_a_sentence(past)} describe how probabilities differ with the past; they are not causal: "
            "they do not say what would happen if somebody's past were changed."
        )
    unseen = len(results.choices) - len(results._estimates.seen)
    if unseen:
        many = "outcome that never occurs" if unseen == 1 else "outcomes that never occur"
        yield f"Left out: {unseen} {many} in estimation; effects on {'it' if unseen == 1 else 'them'} are zero."


def cure(results: MNLogitResults) -> str:
    """The fit that has standard errors where this one has none.

    Examples
    --------
    >>> from econllm import MNLogit
    >>> import pandas as pd
    >>> df = pd.DataFrame({"y": ["a", "b", "a"], "x": [0.0, 1.0, 2.0]})
    >>> cure(MNLogit("y ~ x", penalty="l1", alpha=0.1).fit(df))
    'a fit without a penalty and with fewer columns'
    """
    if results.model.penalty in ("l1", "elasticnet"):
        return "a fit without a penalty and with fewer columns"
    if results.model.penalty == "l2":
        kind = "robust" if results.info.persons is None else "clustered"
        return f"a fit with cov_type={kind!r} or 'bootstrap'"
    return "a fit with another cov_type, or with fewer columns,"


def in_a_sentence(names: Sequence[str]) -> str:
    """Join names as in a sentence.

    Examples
    --------
    >>> in_a_sentence(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def effects_titles(
    results: MNLogitResults, shown: Sequence[tuple[str, str]], over: str | None, groups: Sequence[Hashable]
) -> dict[str, dict[Any, str]]:
    """Titles of outcomes, labels of variables and groups, and titles in contrasts of earlier occupations.

    Parameters
    ----------
    results : MNLogitResults
        The fit.
    shown : sequence of pairs
        Variable and contrast of every effect.
    over : str or None
        Column that forms groups.
    groups : sequence
        Its values.

    Returns
    -------
    dict
        From value to text, by column of the keys.
    """
    outcomes = {code: results.choices.title(code) for code in results.choices.codes}
    of_past = {str(code): title for code, title in outcomes.items()}
    contrasts: dict[Any, str] = {}
    for variable, contrast in shown:
        ends = contrast.split(" vs. ")
        if variable.startswith(_PAST) and str(results.outcome) in variable and len(ends) == 2:
            contrasts[variable, contrast] = " vs. ".join(of_past.get(end, end) for end in ends)
    labels = results._estimates.labels
    variables = {variable: labels.get(variable, variable) for variable, _ in shown}
    words = {} if over in (None, "history") else {label: f"{over} = {label}" for label in groups}
    return {"outcome": outcomes, "contrast": contrasts, "variable": variables, "group": words}

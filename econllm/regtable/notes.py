"""Notes under the table: what the numbers are, model by model where they differ."""

from __future__ import annotations

from collections.abc import Sequence

from econllm.regtable.cells import Style
from econllm.regtable.source import Source

_WORDS = {"se": "standard errors", "t": "t statistics", "p": "p-values"}
_PLACES = {"(": "parentheses", "[": "brackets", "{": "braces"}


def notes_for(sources: Sequence[Source], style: Style) -> list[str]:
    """Write the notes of a table.

    Parameters
    ----------
    sources : sequence of Source
        The models, after coefficients were chosen.
    style : Style
        What is printed of a coefficient.

    Returns
    -------
    list of str

    Examples
    --------
    >>> notes_for([], Style())
    []
    """
    if not sources:
        return []
    notes = [*_inference(sources, style), *_penalties(sources), *_bases(sources)]
    if style.exp:
        how = " Standard errors by the delta method." if "se" in style.statistics else ""
        notes.append(f"Exponentiated coefficients: in a multinomial logit, relative risk ratios against the base.{how}")
    if style.stars:
        notes.append(", ".join(f"{symbol} p < {limit:g}" for symbol, limit in reversed(style.stars)) + ".")
    if any((source.coefs["count"] > 1).any() for source in sources):
        notes.append("Norm: root of the sum of the squared coefficients of a term's columns.")
    hidden = [(source.name, f"{source.hidden:,}" if source.hidden else "") for source in sources]
    if any(text for _, text in hidden):
        notes.append(f"Coefficients not shown: {by_model(hidden)}.")
    failed = [source.name for source in sources if source.statistics.get("converged") in (False, 0)]
    if failed:
        notes.append("NOT CONVERGED" + (f": {', '.join(failed)}." if len(sources) > 1 else "."))
    return notes


def by_model(texts: Sequence[tuple[str, str]]) -> str:
    """Join what is said of every model: once where all agree, else with the names of the models; blanks are skipped.

    Examples
    --------
    >>> by_model([("(1)", "a"), ("(2)", "a")]), by_model([("(1)", "a"), ("(2)", "b"), ("(3)", "a"), ("(4)", "")])
    ('a', 'a in (1), (3); b in (2)')
    """
    texts = [(name, text.rstrip(".")) for name, text in texts]
    distinct = list(dict.fromkeys(text for _, text in texts))
    if len(distinct) == 1:
        return distinct[0]
    parts = []
    for text in distinct:
        names = ", ".join(name for name, said in texts if said == text)
        parts += [f"{text} in {names}"] if text else []
    return "; ".join(parts)


def _inference(sources: Sequence[Source], style: Style) -> list[str]:
    if not style.statistics and not style.stars:
        return []
    said = [(s.name, (s.facts.cov or "kind not stated") if s.has_errors else "") for s in sources]
    notes = []
    if any(text for _, text in said):
        places = [
            f"{_WORDS[name]} in {_PLACES[enclosure[0]]}" for name, enclosure in style.enclosures.items() if style.below
        ]
        places += [f"{100 * style.level:.10g}% confidence intervals in brackets"] * ("ci" in style.statistics)
        named = "; ".join(places) + "." if places and style.below else ""
        kinds = f"Standard errors: {by_model(said)}."
        if named.startswith("standard errors in parentheses") and len(places) == 1:
            notes.append(f"Standard errors in parentheses: {by_model(said)}.")
        else:
            notes += [f"{named[0].upper()}{named[1:]} {kinds}" if named else kinds]
    reasons = [(s.name, "" if s.has_errors else _reason(s.facts.cov)) for s in sources]
    if any(text for _, text in reasons):
        notes.append(f"No standard errors: {by_model(reasons)}.")
    return notes


def _reason(words: str) -> str:
    """Why there are none, without the advice that follows the reason."""
    return words.removeprefix("none: ").split(";")[0] or "none were estimated"


def _penalties(sources: Sequence[Source]) -> list[str]:
    said = [(source.name, source.facts.penalty) for source in sources]
    if not any(text for _, text in said):
        return []
    return [f"Penalty: {by_model(said)}."]


def _bases(sources: Sequence[Source]) -> list[str]:
    said = []
    for source in sources:
        base = source.facts.base
        if base is not None:
            said.append((source.name, source.facts.title(base)))
        elif source.facts.symmetric:
            said.append((source.name, "none, coefficients sum to zero over outcomes"))
        else:
            said.append((source.name, ""))
    return [f"Base outcome: {by_model(said)}."] if any(text for _, text in said) else []

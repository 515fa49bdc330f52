"""Starting from a network that was trained on other careers."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from econllm.career.inputs import Coding, Factor
from econllm.career.network import CareerNetwork
from econllm.choices import ChoiceSet


def transfer(
    source: CareerNetwork,
    source_coding: Coding,
    source_choices: ChoiceSet,
    target: CareerNetwork,
    coding: Coding,
    choices: ChoiceSet,
    *,
    one_encoder: bool = True,
) -> None:
    """Copy what two networks share into the second one.

    Parameters
    ----------
    source : CareerNetwork
        Trained on other careers.
    source_coding, source_choices : Coding, ChoiceSet
        What its inputs and outputs mean.
    target : CareerNetwork
        New; changed in place.
    coding, choices : Coding, ChoiceSet
        What its inputs and outputs mean.
    one_encoder : bool
        Whether the vectors of titles, where both have them, are of one encoder, so that a map of one is a map of the
        other.

    Notes
    -----
    Occupations are matched by code, covariates by column and level, numbers by column, times by value. What the source
    does not know starts without effect; occupations that it does not know keep their new start. A source whose
    occupations borrow from their titles hands on the sum of both parts to a network without titles, or with those of
    another encoder.
    """
    # They may be on different devices.
    source = copy.deepcopy(source).to(target.output.weight.device)
    with torch.no_grad():
        for name in ("blocks", "norm", "move", "ask", "answer", "position"):
            _copy(getattr(source, name), getattr(target, name))
        there, here = _shared(source_choices.codes, choices.codes)
        if one_encoder and source.shape.titles and target.shape.titles:
            table, weight = source.occupation.weight, source.output.weight
            _copy(source.title_input, target.title_input)
            _copy(source.title_output, target.title_output)
        else:
            table, weight = source.occupations(), source.outputs()
            for new in (target.title_input, target.title_output):
                if new is not None:
                    new.weight.zero_()
        target.occupation.weight[here + 1] = table[there + 1]
        target.occupation.weight[0] = table[0]
        target.output.weight[here] = weight[there]
        target.output.bias[here] = source.output.bias[there]
        target.covariates.weight.zero_()
        for known, level in _matched_levels(source_coding, coding):
            target.covariates.weight[level] = source.covariates.weight[known]
        target.times.weight.zero_()
        there, here = _shared(source_coding.times, coding.times)
        target.times.weight[here] = source.times.weight[there]
        _copy_numbers(source, source_coding, target, coding)


def _copy(source: nn.Module | None, target: nn.Module | None) -> None:
    if source is not None and target is not None:
        target.load_state_dict(source.state_dict())


def _shared(there: Sequence[Any], here: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """Positions of common elements in both."""
    place = {value: i for i, value in enumerate(there)}
    pairs = [(place[value], i) for i, value in enumerate(here) if value in place]
    both = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _matched_levels(source: Coding, target: Coding) -> list[tuple[Tensor, Tensor]]:
    """Rows of the tables of covariates that mean the same: the missing value, and levels by name."""
    known: dict[tuple[Hashable, bool], tuple[Factor, int]] = {
        (f.column, f.lagged): (f, int(o)) for f, o in zip(source.factors, source.offsets, strict=True)
    }
    out = []
    for factor, offset in zip(target.factors, target.offsets, strict=True):
        if (factor.column, factor.lagged) in known:
            other, begin = known[factor.column, factor.lagged]
            there, here = _shared((None, *other.levels), (None, *factor.levels))
            out.append((there + begin, here + int(offset)))
    return out


def _copy_numbers(source: CareerNetwork, source_coding: Coding, target: CareerNetwork, coding: Coding) -> None:
    """Copy coefficients of values and of their missing indicators; both networks standardise alike."""
    target.numbers.weight.zero_()
    target.numbers.bias.copy_(source.numbers.bias)
    target.bend.weight.copy_(source.bend.weight)
    there, here = _shared(source_coding.numbers, coding.numbers)
    target.numbers.weight[:, here] = source.numbers.weight[:, there]
    there, here = there + len(source_coding.numbers), here + len(coding.numbers)
    target.numbers.weight[:, here] = source.numbers.weight[:, there]

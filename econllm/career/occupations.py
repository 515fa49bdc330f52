"""Occupations as a trained network sees them: vectors, nearest neighbours, a map."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch

from econllm.choices import ChoiceSet, plain_code, position_of
from econllm.encoders import Projection
from econllm.errors import DataError, OptionError, check_number, check_option, did_you_mean, listing, refusal
from econllm.plots import scatter_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from econllm.career.prediction import Predictor

Kind = Literal["input", "output"]


@dataclass(frozen=True, eq=False)
class OccupationEmbeddings:
    """Vectors of occupations in a trained network.

    Attributes
    ----------
    kind : {"input", "output"}
        What an occupation says as the last one held, or its weights as a destination.
    frame : pandas.DataFrame of float64, shape (choices, dim)
        The vectors as the network has them, indexed by occupation code.
    choices : ChoiceSet
        Codes and titles.
    order : numpy.ndarray of int, shape (choices,)
        Positions of occupations, the most common destinations first: which names a figure writes.

    Notes
    -----
    A vector that is common to all occupations changes no probability: in the output it cancels in the softmax, in the
    input the effect of position or calendar time can take it up. Similarities and the map therefore measure vectors
    from their mean. Occupations that estimation never saw have the vector zero, which says nothing, unless they borrow
    from their titles. The input vector of an occupation that only ever ended careers has not left its random start.

    Examples
    --------
    >>> frame = pd.DataFrame([[1.0, 0.1], [1.0, 0.0], [-1.0, 0.0], [-1.0, -0.1]], index=[10, 20, 30, 40])
    >>> jobs = OccupationEmbeddings("input", frame, ChoiceSet([10, 20, 30, 40], list("abcd")), np.arange(4))
    >>> jobs.neighbours("a", k=2).round(2).to_numpy().tolist()
    [[20, 'b', 1.0], [30, 'c', -1.0]]
    """

    kind: Kind
    frame: pd.DataFrame
    choices: ChoiceSet
    order: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Which occupations have a vector that says something, shape (choices,) of bool."""
        out: np.ndarray = np.any(self.frame.to_numpy() != 0, axis=1)
        return out

    def neighbours(self, occupation: Hashable, k: int = 10) -> pd.DataFrame:
        """Find the most similar occupations.

        Parameters
        ----------
        occupation : int or str
            Code or title.
        k : int
            How many.

        Returns
        -------
        pandas.DataFrame
            One row per neighbour, the nearest first: `code`, `title` and `similarity`, the cosine between -1 and 1 of
            the vectors measured from their mean. Occupations that say nothing are left out.

        Raises
        ------
        DataError
            If the occupation is not in the choice set, naming the nearest one, or was never seen.
        OptionError
            If `k` is no whole number of at least 1.
        """
        check_number("k", k, minimum=1, integer=True)
        own = find_occupation(self.choices, occupation)
        if not self.known[own]:
            raise DataError(
                f"occupation {self.choices.codes[own]!r} ({self.choices.titles[own]}) never occurred in estimation and "
                "the model reads no titles: its vector is zero and has no neighbours. With CAREER(titles='minilm') it "
                "borrows from its title."
            )
        places, unit = self._directions()
        similar = np.clip(unit @ unit[np.flatnonzero(places == own)[0]], -1.0, 1.0)
        others = np.argsort(-similar, kind="stable")
        others = others[places[others] != own][:k]
        found = places[others]
        return pd.DataFrame(
            {
                "code": self.choices.index[found],
                "title": [self.choices.titles[i] for i in found],
                "similarity": similar[others],
            }
        )

    def map(self) -> pd.DataFrame:
        """Place occupations in a plane, similar ones near each other.

        Returns
        -------
        pandas.DataFrame
            Columns `title`, `x` and `y`, indexed by code: the first two principal components of the vectors measured
            from their mean and scaled to length one (classical scaling of cosine distances). Occupations that say
            nothing are left out.

        Raises
        ------
        DataError
            If fewer than three occupations have a vector.
        """
        return self._map()[0]

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        show: int = 40,
        groups: Mapping[Any, object] | pd.Series | Sequence[object] | None = None,
    ) -> Figure:
        """Draw the map.

        Parameters
        ----------
        path : str or path, optional
            File to save as well: .png, .pdf or .svg.
        show : int
            How many titles to write, the most common destinations first; some may find no room.
        groups : mapping or Series from code to group, or sequence in the order of the choice set, optional
            At most seven groups, drawn with marks of their own.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        DataError
            If fewer than three occupations have a vector, or one of them has no group.
        OptionError
            For too many groups, groups of another length, or a file that cannot be written.
        """
        places, share = self._map()
        codes = [self.choices.codes[i] for i in self.order if self.known[i]]
        members = None if groups is None else self._groups(groups)
        return scatter_map(
            places.loc[codes, ["x", "y"]].to_numpy(),
            places.loc[codes, "title"].tolist(),
            groups=None if members is None else [members[code] for code in codes],
            path=path,
            title=f"Occupations by {self.kind} vectors ({share:.0%} of the variance)",
            show=show,
        )

    def _directions(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions of occupations that say something, and their vectors from the mean, scaled to length one."""
        places = np.flatnonzero(self.known)
        vectors = self.frame.to_numpy(dtype=np.float64)[places]
        vectors = vectors - vectors.mean(axis=0)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return places, np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)

    def _map(self) -> tuple[pd.DataFrame, float]:
        """Coordinates, and the share of the variance that they hold."""
        places, unit = self._directions()
        if len(places) < 3:
            raise DataError(f"{len(places)} occupations have a vector; a map needs at least three.")
        projection = Projection.fit(unit, 2)
        points = projection.apply(unit)
        titles = [self.choices.titles[i] for i in places]
        frame = pd.DataFrame({"title": titles, "x": points[:, 0], "y": points[:, 1]}, index=self.frame.index[places])
        return frame, float(projection.shares.sum())

    def _groups(self, groups: Any) -> dict[Hashable, object]:
        """Group of every occupation that is drawn, by code."""
        codes = [code for code, known in zip(self.choices.codes, self.known, strict=True) if known]
        if isinstance(groups, Mapping | pd.Series):
            given = {plain_code(code): group for code, group in groups.items()}
            lacking = [code for code in codes if code not in given]
            if lacking:
                raise DataError(f"groups has no group for {len(lacking)} occupations: {listing(lacking)}.")
            return {code: given[code] for code in codes}
        if isinstance(groups, str) or not isinstance(groups, Sequence | np.ndarray):
            raise OptionError(refusal("groups", groups, "not allowed", "give a mapping from code to group"))
        if len(groups) != len(self.choices):
            raise OptionError(
                f"groups has {len(groups)} entries for {len(self.choices)} occupations: give one each, in the order of "
                "the choice set, or a mapping from code to group."
            )
        return dict(zip(self.choices.codes, groups, strict=True))

    def __repr__(self) -> str:
        n, dim = self.frame.shape
        return f"<OccupationEmbeddings: {self.kind}, {n} occupations, {dim} dimensions>"


def embeddings_of(predictor: Predictor, kind: Kind) -> OccupationEmbeddings:
    """Read the vectors; see :meth:`econllm.career.results.CAREERResults.occupation_embeddings`."""
    check_option("kind", kind, ["input", "output"])
    network, choices = predictor.network, predictor.choices
    with torch.inference_mode():
        vectors = network.occupations()[1:] if kind == "input" else network.outputs()
        values = vectors.cpu().numpy().astype(np.float64)
        common = network.output.bias.cpu().numpy()
    frame = pd.DataFrame(values, index=choices.index, columns=[f"{kind}_{j}" for j in range(values.shape[1])])
    return OccupationEmbeddings(kind, frame, choices, np.argsort(-common, kind="stable"))


def find_occupation(choices: ChoiceSet, occupation: Hashable) -> int:
    """Position of an occupation that is named by its code or its title.

    Parameters
    ----------
    choices : ChoiceSet
        Codes and titles.
    occupation : int or str
        A code; or a title, where no code is called so.

    Returns
    -------
    int

    Raises
    ------
    DataError
        If there is none, naming the nearest code or title.

    Examples
    --------
    >>> jobs = ChoiceSet([10, 20], ["Clerk", "Cook"])
    >>> find_occupation(jobs, 20), find_occupation(jobs, "Cook")
    (1, 1)
    """
    position = position_of(choices, occupation)
    if position is None:
        code = plain_code(occupation)
        raise DataError(
            f"occupation {code!r} is neither a code nor a title of the choice set."
            f"{did_you_mean(code, (*choices.codes, *choices.titles))}"
        )
    return position

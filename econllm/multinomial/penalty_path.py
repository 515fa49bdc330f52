"""The weights of the penalty that were tried, and what became of the coefficients along them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.logit.problem import Point

if TYPE_CHECKING:
    from econllm.multinomial.setup import Setup
    from econllm.multinomial.tuning import Candidate


@dataclass(frozen=True)
class PenaltyPath:
    """Candidates for alpha from weak to strong, each with the estimate on the whole sample.

    Attributes
    ----------
    alpha : numpy.ndarray, shape (candidates,)
        Weights of the penalty.
    score, std_error : numpy.ndarray, shape (candidates,)
        Mean held-out log-likelihood in nats, and its standard error, clustered by person.
    nonzero : numpy.ndarray of int, shape (candidates,)
        Slopes that are not zero.
    norms : numpy.ndarray, shape (candidates, terms)
        Root of the sum of squared slopes of every term, in the coordinates of the penalty.
    terms : tuple of str
        The terms.
    chosen : float
        The alpha that was chosen.

    Examples
    --------
    >>> one = np.ones(1)
    >>> PenaltyPath(one, -one, 0 * one, one.astype(int), one[:, None], ("x",), 1.0).frame.columns.tolist()
    ['alpha', 'score', 'std_error', 'nonzero', 'chosen']
    """

    alpha: np.ndarray
    score: np.ndarray
    std_error: np.ndarray
    nonzero: np.ndarray
    norms: np.ndarray
    terms: tuple[str, ...]
    chosen: float

    @classmethod
    def make(cls, setup: Setup, tried: list[Candidate], points: list[Point], chosen: float) -> PenaltyPath:
        """Collect what a search found."""
        names = np.array(setup.stacked.terms)
        terms = tuple(dict.fromkeys(setup.stacked.terms))
        squares = [(point.slopes**2).sum(axis=1) for point in points]
        norms = np.array([[np.sqrt(s[names == term].sum()) for term in terms] for s in squares])
        return cls(
            np.array([c.alpha for c in tried]),
            np.array([c.score for c in tried]),
            np.array([c.std_error for c in tried]),
            np.array([np.count_nonzero(point.slopes) for point in points]),
            norms.reshape(len(points), len(terms)),
            terms,
            chosen,
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row per candidate: alpha, score, std_error, nonzero, and whether it was chosen."""
        columns = {name: getattr(self, name) for name in ("alpha", "score", "std_error", "nonzero")}
        return pd.DataFrame({**columns, "chosen": self.alpha == self.chosen})

    @property
    def term_norms(self) -> pd.DataFrame:
        """Size of every term's coefficients along the path, indexed by alpha."""
        return pd.DataFrame(self.norms, index=pd.Index(self.alpha, name="alpha"), columns=pd.Index(self.terms))

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw held-out scores and the sizes of the terms against alpha.

        Parameters
        ----------
        path : path, optional
            File to write; its ending gives the format.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from econllm.plots import penalty_path

        return penalty_path(
            self.alpha, self.score, self.std_error, self.norms, self.terms, chosen=self.chosen, path=path
        )

    def to_state(self) -> dict[str, Any]:
        """Return the plain content, to be saved."""
        names = ("alpha", "score", "std_error", "nonzero", "norms", "terms", "chosen")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_state(cls, content: dict[str, Any]) -> PenaltyPath:
        """Rebuild what :meth:`to_state` gave."""
        return cls(**{**content, "terms": tuple(content["terms"])})

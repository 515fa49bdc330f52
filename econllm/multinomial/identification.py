"""Which coefficients the design identifies where some outcomes are not available to some rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from econllm.formula.lookup import Lookup
from econllm.logit import newton
from econllm.logit.covariance import NoCovarianceError, positive
from econllm.logit.problem import Point, Problem
from econllm.logit.sampling import Correction, Kind, Sampling, row_scores

# Eigenvalues of the information, in units of its diagonal, below which a direction changes no probability.
_FLAT = 1e-10
# Share of a coefficient that may lie in such directions through rounding.
_ROUNDING = 1e-6
# Below this reciprocal condition number, in units of the diagonal, inverses are rounding.
_SINGULAR = 1e-13


@dataclass(frozen=True, eq=False)
class Identification:
    """Directions of the coefficients that change some probability, and those that change none.

    A column that is zero wherever an outcome is available says nothing about that outcome, so that its coefficient
    there can be any number: the last occupation, for instance, among the destinations of those who leave it.

    Attributes
    ----------
    basis : numpy.ndarray, shape (parameters, rank)
        Directions that together with the others span all coefficients of the solver.
    null : numpy.ndarray, shape (parameters, parameters - rank)
        Orthonormal directions that change no probability, whatever the coefficients are.
    """

    basis: np.ndarray
    null: np.ndarray

    @classmethod
    def make(cls, problem: Problem) -> Identification | None:
        """Find them, or return None where all outcomes are available or the information is too large to be formed.

        Parameters
        ----------
        problem : Problem
            Without a penalty.

        Returns
        -------
        Identification or None

        Notes
        -----
        The null space of the information is the same at all finite coefficients: it is taken where all available
        outcomes have equal probability.

        Examples
        --------
        >>> from scipy import sparse
        >>> able = Lookup(np.array([0, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -np.inf]]))
        >>> x = sparse.csr_array(np.array([[0.0], [1.0]]))
        >>> p = Problem(x, np.zeros((2, 0)), np.array([0, 1]), 3, None, 0.0, True, offset=able)
        >>> Identification.make(p).rank
        3
        """
        if not restricted(problem.offset) or not newton.affordable(problem):
            return None
        assert problem.offset is not None
        able = np.isfinite(problem.offset.table)
        even = replace(problem, offset=Lookup(problem.offset.codes, np.where(able, 0.0, -np.inf)))
        information = newton.hessian(even, problem.point(np.zeros(problem.parameters))) / problem.rows
        scale = np.sqrt(np.maximum(np.diag(information), 0))
        scale[scale <= _ROUNDING * scale.max(initial=0.0)] = 1.0
        values, vectors = linalg.eigh(information / np.outer(scale, scale))
        vectors /= scale[:, None]
        flat = values < _FLAT
        return cls(vectors[:, ~flat], np.linalg.qr(vectors[:, flat])[0])

    @property
    def rank(self) -> int:
        """Number of free parameters."""
        return int(self.basis.shape[1])

    def known(self, directions: np.ndarray) -> np.ndarray:
        """Tell which linear combinations of coefficients are identified.

        Parameters
        ----------
        directions : numpy.ndarray, shape (parameters, m)
            Weights of the solver's coefficients.

        Returns
        -------
        numpy.ndarray of bool, shape (m,)
        """
        sizes = np.linalg.norm(directions, axis=0)
        out: np.ndarray = np.linalg.norm(self.null.T @ directions, axis=0) <= _ROUNDING * sizes
        return out

    def shared(self, problem: Problem) -> np.ndarray:
        """Tell which common coefficients are identified, shape (shared,)."""
        return self.known(np.eye(problem.parameters)[:, problem.parameters - len(problem.shared) :])

    def normalise(self, problem: Problem, point: Point) -> Point:
        """Set coefficients to zero in the directions that change no probability."""
        theta = problem.vector(point)
        return problem.point(theta - self.null @ (self.null.T @ theta))

    def covariance(
        self,
        problem: Problem,
        point: Point,
        kind: Kind,
        *,
        clusters: Sequence[np.ndarray],
        strata: np.ndarray | None,
        ssc: Correction,
        frequency: np.ndarray | None,
    ) -> np.ndarray:
        """Estimate the covariance of the identified directions; see :func:`econllm.logit.covariance.covariance`.

        Returns
        -------
        numpy.ndarray, shape (parameters, parameters)
            It holds for combinations of coefficients that are :meth:`known`.

        Raises
        ------
        NoCovarianceError
            If the information is singular at the estimate, as under separation.
        """
        sampling = Sampling.make(problem, kind, clusters=clusters, strata=strata, ssc=ssc, frequency=frequency)
        information = self.basis.T @ newton.hessian(problem, point) @ self.basis / problem.rows
        size = np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
        information = information / np.outer(size, size)
        values = linalg.eigvalsh(information)
        if values[0] <= _SINGULAR * values[-1]:
            raise NoCovarianceError(
                "the information is singular at the estimate, so there are no standard errors; leave out levels and "
                "outcomes that are perfectly predicted, or set penalty='l2'."
            )
        half = self.basis / size
        bread = half @ linalg.inv(information) @ half.T
        if kind == "nonrobust":
            return np.asarray(bread / sampling.total)
        width = problem.parameters
        meat = sampling.meat(row_scores(problem, point), width, max(64, 200_000 // width), float(self.rank))
        out = bread @ meat @ bread / problem.rows**2
        out = (out + out.T) / 2
        return positive(out) if len(clusters) == 2 else out


def restricted(offset: Lookup | None) -> bool:
    """Whether some outcomes are not available to some rows.

    Examples
    --------
    >>> restricted(Lookup(np.array([0]), np.array([[0.0, -np.inf]]))), restricted(None)
    (True, False)
    """
    return offset is not None and not bool(np.isfinite(offset.table).all())

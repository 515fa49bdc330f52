"""Principal components of vectors, remembered so that new texts are projected on the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from econllm.errors import DataError, OptionError, check_number

_CHUNK = 8192
# Variance, relative to the largest, below which a direction is rounding error of float32 vectors.
_NOISE = 1e-12


@dataclass(frozen=True, eq=False)
class Projection:
    """Means and principal components, in float64.

    Attributes
    ----------
    mean : ndarray, shape (d,)
        Mean vector of the rows it was fitted on.
    loadings : ndarray, shape (d, k)
        Orthonormal directions, most variance first; the largest loading of each is positive.
    shares : ndarray, shape (k,)
        Share of the total variance that each direction explains.

    Examples
    --------
    >>> rows = np.array([[0.0, 0.0, 7.0], [1.0, 1.0, 7.0], [2.0, 2.0, 7.0]])
    >>> line = Projection.fit(rows, components=1)
    >>> line.shares.round(3).tolist(), line.apply(rows).round(3).ravel().tolist()
    ([1.0], [-1.414, 0.0, 1.414])
    """

    mean: np.ndarray
    loadings: np.ndarray
    shares: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray, components: int, weights: np.ndarray | None = None) -> Projection:
        """Find the principal components of rows.

        Parameters
        ----------
        vectors : ndarray, shape (n, d)
            Every row counts as often as it is given: frequent texts weigh more.
        components : int
            How many to keep, at most min(n, d) and at most the number of directions in which the rows vary.
        weights : ndarray, shape (n,), optional
            Weights of the rows.

        Returns
        -------
        Projection

        Raises
        ------
        OptionError
            If `components` is not a whole number of at least 1 or is too large.
        DataError
            If the vectors are not finite.

        Notes
        -----
        Columns without variance (three of MiniLM's 384) get loadings of zero. Scores are centred and not scaled.
        """
        check_number("components", components, minimum=1, integer=True)
        n, d = vectors.shape
        if components > min(n, d):
            raise OptionError(
                f"components={components} is more than min(rows, dimensions) = min({n}, {d}): give at most {min(n, d)}."
            )
        mean, covariance = _moments(vectors, np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64))
        if not np.isfinite(covariance).all():
            raise DataError("principal components need finite vectors; some of these are not.")
        return cls._from_covariance(mean, covariance, int(components))

    @classmethod
    def _from_covariance(cls, mean: np.ndarray, covariance: np.ndarray, components: int) -> Projection:
        from scipy.linalg import eigh

        d = len(mean)
        values, loadings = eigh(covariance, subset_by_index=(d - components, d - 1))
        values, loadings = values[::-1], loadings[:, ::-1]
        spanned = int((values > _NOISE * max(values[0], np.finfo(float).tiny)).sum()) if values[0] > 0 else 0
        if spanned < components:
            raise OptionError(
                f"components={components} is more than the {spanned} directions in which these texts vary: give fewer "
                "components, or more distinct texts."
            )
        # A direction and its opposite are equally good; the sign is fixed so that reruns agree.
        largest = np.take_along_axis(loadings, np.abs(loadings).argmax(axis=0)[None], axis=0)[0]
        return cls(mean, np.ascontiguousarray(loadings * np.sign(largest)), values / np.trace(covariance))

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Scores of rows on the components.

        Parameters
        ----------
        vectors : ndarray, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n, k)

        Raises
        ------
        DataError
            If the vectors have another dimension than those it was fitted on.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise DataError(
                f"these vectors have shape {vectors.shape}, but the components were fitted on {len(self.mean)} "
                "dimensions: use the same encoder."
            )
        scores = np.empty((len(vectors), self.loadings.shape[1]))
        for start in range(0, len(vectors), _CHUNK):
            rows = slice(start, start + _CHUNK)
            # Centred before the product, so that a large common mean costs no digits.
            scores[rows] = (vectors[rows].astype(np.float64) - self.mean) @ self.loadings
        return scores

    def to_state(self) -> dict[str, np.ndarray]:
        """Arrays from which `from_state` rebuilds the projection."""
        return {"mean": self.mean, "loadings": self.loadings, "shares": self.shares}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Projection:
        """Rebuild a projection from `to_state`'s arrays."""
        return cls(*(np.asarray(state[name], dtype=np.float64) for name in ("mean", "loadings", "shares")))


def _moments(vectors: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and covariance, chunk by chunk: a float64 copy of all vectors would double the memory."""
    n, d = vectors.shape
    chunks = [slice(start, start + _CHUNK) for start in range(0, n, _CHUNK)]
    total = weights.sum()
    mean = sum((weights[rows] @ vectors[rows].astype(np.float64) for rows in chunks), np.zeros(d)) / total
    covariance = np.zeros((d, d))
    for rows in chunks:
        centred = vectors[rows].astype(np.float64) - mean
        covariance += (centred * weights[rows, None]).T @ centred
    return mean, covariance / total

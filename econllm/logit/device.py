"""Minimising smooth objectives on a GPU, or any other device of torch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from econllm.logit.problem import Point, Problem
from econllm.options import resolve_device

if TYPE_CHECKING:
    import torch

# Utilities (rows x outcomes) that are held at a time.
_CHUNK_VALUES = 100_000_000
# Smaller problems are solved sooner on the processor than torch is imported.
_WORTHWHILE = 5_000_000
_MEMORY = 20
# Iterations between two looks at the stopping rule.
_WINDOW = 10


def chosen_device(device: str, problem: Problem) -> str | None:
    """Name of the device on which a problem is solved, or None for the processor by numpy.

    Parameters
    ----------
    device : str
        "auto", "cpu", or a device of torch; "torch-cpu" runs torch's code on the processor.
    problem : Problem
        Its size decides under "auto".

    Returns
    -------
    str or None

    Examples
    --------
    >>> p = Problem(sparse.csr_array((2, 0)), np.zeros((2, 0)), np.zeros(2, int), 4, None, 0.0, True)
    >>> chosen_device("auto", p) is None
    True
    """
    if device == "cpu" or (device == "auto" and problem.rows * problem.outcomes < _WORTHWHILE):
        return None
    if device == "torch-cpu":
        return "cpu"
    found = str(resolve_device(device))
    return None if found == "cpu" else found


class DeviceObjective:
    """The objective and its gradient on a device of torch, in one number type.

    Parameters
    ----------
    problem : Problem
        Data and ridge penalty.
    device : str
        Device of torch.
    double : bool
        float64 in place of float32; sums are in float64 where the device has it.

    Examples
    --------
    >>> p = Problem(sparse.csr_array((2, 0)), np.zeros((2, 0)), np.zeros(2, int), 4, None, 0.0, True)
    >>> float(DeviceObjective(p, "cpu", double=True).value(Point(np.zeros((0, 4)), np.zeros(4), np.zeros(0)))[0].exp())
    4.0
    """

    def __init__(self, problem: Problem, device: str, *, double: bool) -> None:
        import torch

        self.problem, self.device = problem, torch.device(device)
        self.dtype = torch.float64 if double else torch.float32
        self.wide = torch.float32 if self.device.type == "mps" else torch.float64
        self.ridge = self._tensor(problem.ridge)[:, None]
        self.shared_ridge = self._tensor(problem.shared_ridge)
        self.tables = [self._tensor(lookup.table) for lookup in problem.shared]
        self.offset = None if problem.offset is None else self._tensor(problem.offset.table)
        self.chunks = [self._chunk(rows) for rows in problem.chunks(max(1, _CHUNK_VALUES // problem.outcomes))]

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        import torch

        return torch.as_tensor(np.ascontiguousarray(values)).to(self.device, self.dtype)

    def _index(self, values: np.ndarray) -> torch.Tensor:
        import torch

        return torch.as_tensor(np.ascontiguousarray(values, dtype=np.int64)).to(self.device)

    def _matrix(self, x: sparse.csr_array) -> torch.Tensor:
        import torch

        with warnings.catch_warnings():
            # torch announces that compressed rows are in beta, and that it does not check them.
            warnings.simplefilter("ignore", UserWarning)
            return torch.sparse_csr_tensor(
                self._index(x.indptr), self._index(x.indices), self._tensor(x.data), size=x.shape
            )

    def _chunk(self, rows: slice) -> dict[str, torch.Tensor | list[torch.Tensor] | None]:
        problem = self.problem
        x = problem.sparse[rows]
        return {
            "sparse": self._matrix(x),
            "transposed": self._matrix(sparse.csr_array(x.T.tocsr())),
            "dense": self._tensor(problem.dense[rows]),
            "outcome": self._index(problem.outcome[rows])[:, None],
            "weights": None if problem.weights is None else self._tensor(problem.weights[rows])[:, None],
            "shared": [self._index(lookup.codes[rows]) for lookup in problem.shared],
            "offset": None if problem.offset is None else self._index(problem.offset.codes[rows]),
        }

    def tensors(self, point: Point) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Slopes, intercepts and common coefficients on the device."""
        return self._tensor(point.slopes), self._tensor(point.intercepts), self._tensor(point.shared)

    def value(self, point: Point) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Objective and gradient at a point."""
        return self(*self.tensors(point))

    def __call__(
        self, w: torch.Tensor, b: torch.Tensor, g: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Objective and gradient at tensors."""
        import torch

        n, p = self.problem.rows, self.problem.sparse.shape[1]
        slopes, intercepts, shared = torch.zeros_like(w), torch.zeros_like(b), torch.zeros_like(g)
        loss = torch.zeros((), dtype=self.wide, device=self.device)
        for chunk, z in self._utilities(w, b, g):
            outcome, weights = chunk["outcome"], chunk["weights"]
            z -= z.amax(dim=1, keepdim=True)
            realised = z.gather(1, outcome)
            z.exp_()
            total = z.sum(dim=1, keepdim=True)
            z /= total
            z.scatter_add_(1, outcome, torch.full_like(realised, -1))
            scores = total.log() - realised
            if weights is not None:
                z *= weights
                scores = scores * weights
            loss += scores.sum(dtype=self.wide)
            if p:
                slopes[:p] += chunk["transposed"] @ z
            slopes[p:] += chunk["dense"].T @ z
            intercepts += z.sum(dim=0)
            for m, codes in enumerate(chunk["shared"]):
                shared[m] += (z * self.tables[m][codes]).sum()
        loss = loss / n + 0.5 * ((self.ridge * w * w).sum() + (self.shared_ridge * g * g).sum()).to(self.wide)
        slopes = slopes / n + self.ridge * w
        intercepts = intercepts / n if self.problem.intercept else torch.zeros_like(b)
        return loss, (slopes, intercepts, shared / n + self.shared_ridge * g)

    def _utilities(
        self, w: torch.Tensor, b: torch.Tensor, g: torch.Tensor
    ) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        p = self.problem.sparse.shape[1]
        for chunk in self.chunks:
            z = chunk["dense"] @ w[p:] + b  # type: ignore[operator]
            if p:
                z += chunk["sparse"] @ w[:p]  # type: ignore[operator]
            for m, codes in enumerate(chunk["shared"]):  # type: ignore[arg-type]
                z += g[m] * self.tables[m][codes]
            if self.offset is not None:
                z += self.offset[chunk["offset"]]
            yield chunk, z  # type: ignore[misc]


def minimise_on_device(
    problem: Problem, point: Point, scale: Point, device: str, *, double: bool, tolerance: float, max_iter: int
) -> tuple[Point, list[tuple[float, float]], bool]:
    """Minimise a smooth objective by L-BFGS, all on the device.

    Parameters
    ----------
    problem : Problem
        Data and ridge penalty.
    point, scale : Point
        Where to begin, and what the coefficients are divided by.
    device : str
        Device of torch.
    double : bool
        float64 or float32.
    tolerance : float
        Stop when ten iterations lower the objective by less than this share of it.
    max_iter : int
        Limit on iterations.

    Returns
    -------
    Point
    list of (seconds, objective)
        One entry per ten iterations.
    bool
        Whether the tolerance was met.
    """
    import torch

    clock = time.perf_counter()
    objective = DeviceObjective(problem, device, double=double)
    factors = objective.tensors(scale)
    theta = [(v / f).requires_grad_() for v, f in zip(objective.tensors(point), factors, strict=True)]
    best: tuple[float, list[torch.Tensor]] = (np.inf, [t.detach().clone() for t in theta])
    optimiser = torch.optim.LBFGS(
        theta,
        lr=1.0,
        max_iter=_WINDOW,
        max_eval=3 * _WINDOW,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        history_size=_MEMORY,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        nonlocal best
        with torch.no_grad():
            values = [t * f for t, f in zip(theta, factors, strict=True)]
            loss, gradient = objective(*values)
            for t, f, slope in zip(theta, factors, gradient, strict=True):
                t.grad = slope * f
            if float(loss) < best[0]:
                best = float(loss), [t.detach().clone() for t in theta]
        return loss

    trace: list[tuple[float, float]] = []
    converged = False
    before = np.inf
    for _ in range(0, max_iter, _WINDOW):
        optimiser.step(closure)  # type: ignore[no-untyped-call]
        trace += [(time.perf_counter() - clock, best[0])] * _WINDOW
        converged = before - best[0] <= tolerance * abs(best[0])
        if converged:
            break
        before = best[0]
    found = [(t * f).to("cpu", torch.float64).numpy() for t, f in zip(best[1], factors, strict=True)]
    return Point(*found), trace, converged

"""Resampling of persons, and the engine that runs replications: in parallel, resumable, seeded one by one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
import pandas as pd

from econllm.errors import DataError, OptionError, check_number, check_option
from econllm.files import replacing
from econllm.options import Seed, child_seed, resolve_seed

Draws = Literal["exponential", "multinomial"]
_MANIFEST = "bootstrap.json"


def person_weights(persons: Sequence[Any] | np.ndarray, seed: Seed, draws: Draws = "exponential") -> pd.Series:
    """Draw one weight per person.

    Parameters
    ----------
    persons : sequence
        Identifiers.
    seed : int, SeedSequence, Generator or None
        Source of randomness.
    draws : {"exponential", "multinomial"}
        Independent standard exponential weights (Rubin's Bayesian bootstrap), which lose no rare outcome; or counts of
        draws with replacement.

    Returns
    -------
    pandas.Series
        Indexed by person, with mean one.

    Examples
    --------
    >>> round(float(person_weights([1, 2, 3], seed=0).mean()), 12)
    1.0
    """
    check_option("draws", draws, ["exponential", "multinomial"])
    generator = np.random.default_rng(resolve_seed(seed))
    n = len(persons)
    if draws == "exponential":
        values = generator.standard_exponential(n)
    else:
        values = np.bincount(generator.integers(n, size=n), minlength=n).astype(np.float64)
    return pd.Series(values / values.mean(), index=pd.Index(persons), name="weight")


def run_replications(
    task: Callable[[np.random.SeedSequence], np.ndarray],
    replications: int,
    seed: Seed,
    *,
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    description: dict[str, Any] | None = None,
) -> np.ndarray:
    """Run a task once per replication.

    Parameters
    ----------
    task : callable
        Takes the replication's seed and returns an array of fixed shape. Must be picklable for parallel runs.
    replications : int
        How many times to run it.
    seed : int, SeedSequence, Generator or None
        Replication b gets child b of it, so results depend neither on `n_jobs` nor on the order of work.
    n_jobs : int, optional
        Workers, through joblib; None honours ``joblib.parallel_config``, else one.
    folder : path, optional
        Where every finished replication is kept, so that an interrupted run goes on. Results of another
        `description` or seed in the folder are refused.
    description : dict, optional
        What is run, in JSON types, to recognise a run that may be resumed.

    Returns
    -------
    numpy.ndarray, shape (replications, ...)

    Raises
    ------
    OptionError
        For fewer than two replications, a random seed together with a folder, or a folder of another run.

    Examples
    --------
    >>> draw = lambda seed: np.random.default_rng(seed).normal(size=1)
    >>> a, b = run_replications(draw, 3, seed=1), run_replications(draw, 4, seed=1)
    >>> bool((a == b[:3]).all())
    True
    """
    from tqdm.auto import tqdm

    check_replications(replications, seed, n_jobs, folder)
    root = resolve_seed(seed)
    place = None if folder is None else _open_folder(Path(folder), root, description or {})
    done = {b: values for b in range(replications) if (values := _read(place, b)) is not None}
    missing = [b for b in range(replications) if b not in done]
    jobs = [joblib.delayed(_one)(task, child_seed(root, b), b) for b in missing]
    bar = tqdm(total=replications, initial=len(done), desc="replications", unit="", disable=None, leave=False)
    with bar:
        for b, values in _as_finished(jobs, n_jobs):
            _write(place, b, values)
            done[b] = values
            bar.update()
    return np.stack([done[b] for b in range(replications)])


def check_replications(
    replications: int, seed: Seed, n_jobs: int | None, folder: str | os.PathLike[str] | None
) -> None:
    """Raise for arguments that :func:`run_replications` would refuse, before any long work.

    Raises
    ------
    OptionError
        Naming the argument.

    Examples
    --------
    >>> check_replications(100, 0, None, None)
    """
    check_number("replications", replications, minimum=2, integer=True)
    if not isinstance(seed, np.random.Generator):  # a generator would be advanced by looking at it
        resolve_seed(seed)
    if n_jobs is not None:
        check_number("n_jobs", n_jobs, integer=True)
        if n_jobs == 0:
            raise OptionError("n_jobs=0 leaves nobody to work: give 1, 2, ... or -1 for all cores.")
    if folder is not None and seed is None:
        raise OptionError("folder= keeps replications to go on later, which needs a fixed seed: give seed=0, say.")
    if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
        raise OptionError(f"folder={os.fspath(folder)!r} is a file; give a new or empty folder.")


def _as_finished(jobs: list[Any], n_jobs: int | None) -> Iterator[tuple[int, np.ndarray]]:
    """Run jobs and give results as they come; in batches where the backend gives all of a call at once (ray does)."""
    backend, workers = joblib.parallel.get_active_backend()
    if backend.supports_return_generator:
        yield from joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs)
        return
    parallel = joblib.Parallel(n_jobs=n_jobs)
    batch = 2 * max(1, backend.effective_n_jobs(n_jobs if n_jobs is not None else workers or 1))
    for start in range(0, len(jobs), batch):
        yield from parallel(jobs[start : start + batch])


def _one(
    task: Callable[[np.random.SeedSequence], np.ndarray], seed: np.random.SeedSequence, b: int
) -> tuple[int, np.ndarray]:
    return b, np.asarray(task(seed))


def _open_folder(folder: Path, seed: np.random.SeedSequence, description: dict[str, Any]) -> Path:
    identity = {"entropy": str(seed.entropy), "spawn_key": list(seed.spawn_key), **description}
    text = json.dumps(identity, sort_keys=True, indent=1)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / _MANIFEST
    if not manifest.exists():
        if any(folder.iterdir()):
            raise OptionError(f"folder={os.fspath(folder)!r} holds other files; give a new or empty folder.")
        with replacing(manifest) as draft:
            draft.write_text(text, encoding="utf-8")
    elif json.loads(manifest.read_text(encoding="utf-8")) != json.loads(text):
        raise OptionError(
            f"folder={os.fspath(folder)!r} holds replications of other models, data or seed; give a new folder."
        )
    return folder


def _read(folder: Path | None, b: int) -> np.ndarray | None:
    if folder is None or not (folder / f"{b:06d}.npy").is_file():
        return None
    values: np.ndarray = np.load(folder / f"{b:06d}.npy", allow_pickle=False)
    return values


def _write(folder: Path | None, b: int, values: np.ndarray) -> None:
    if folder is not None:
        with replacing(folder / f"{b:06d}.npy") as draft, draft.open("xb") as file:
            np.save(file, values, allow_pickle=False)


def fingerprint(*arrays: np.ndarray) -> str:
    """Digest of arrays: recognises the same data without holding them.

    Raises
    ------
    DataError
        For arrays of Python objects that are neither text nor numbers.

    Examples
    --------
    >>> fingerprint(np.arange(3)) == fingerprint(np.arange(3))
    True
    """
    digest = hashlib.sha256()
    for array in arrays:
        if array.dtype == object:
            kinds = {type(v) for v in array}
            if not kinds <= {str, int, float, bool, type(None)}:
                raise DataError(f"an array of {sorted(k.__name__ for k in kinds)} cannot be recognised again.")
            digest.update(repr(array.tolist()).encode())
        else:
            digest.update(str((array.dtype, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

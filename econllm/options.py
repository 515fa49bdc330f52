"""Literal option types, and the resolution of devices, number types and seeds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from econllm.errors import OptionError, check_option

if TYPE_CHECKING:
    import torch

Normalization = Literal["proper", "printed"]
Pooling = Literal["last", "mean", "cls", "pooler"]
Missing = Literal["raise", "drop"]
TitleStyle = Literal["text", "code"]
Loss = Literal["titles", "all"]
Seed = int | np.integer | np.random.SeedSequence | np.random.Generator | None


def make_plain(options: Any) -> None:
    """Turn the NumPy scalars of a frozen dataclass into plain numbers, so that it prints as code and saves as it was.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Options:
    ...     epochs: int
    >>> chosen = Options(np.int64(3))
    >>> make_plain(chosen)
    >>> chosen.epochs
    3
    """
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if isinstance(value, np.generic):
            object.__setattr__(options, field.name, value.item())


def as_code(options: Any) -> str:
    """Code that rebuilds a dataclass of options: what differs from the defaults.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Options:
    ...     epochs: int = 3
    ...     batch: int = 16
    >>> as_code(Options(batch=8))
    'Options(batch=8)'
    """
    changed = [f.name for f in dataclasses.fields(options) if getattr(options, f.name) != f.default]
    return f"{type(options).__name__}({', '.join(f'{name}={getattr(options, name)!r}' for name in changed)})"


def resolve_seed(seed: Seed) -> np.random.SeedSequence:
    """Turn whatever was given as a seed into a SeedSequence.

    Parameters
    ----------
    seed : int, SeedSequence, Generator or None
        A Generator is asked for four words, which advances it; None draws fresh entropy.

    Returns
    -------
    numpy.random.SeedSequence

    Raises
    ------
    OptionError
        If the seed is of another type or negative.

    Examples
    --------
    >>> resolve_seed(0).entropy
    0
    """
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence([int(word) for word in seed.integers(2**32, size=4)])
    if seed is None or (isinstance(seed, int | np.integer) and not isinstance(seed, bool) and seed >= 0):
        return np.random.SeedSequence(None if seed is None else int(seed))
    raise OptionError(f"seed={seed!r} is not a seed: give a non-negative integer, a SeedSequence, a Generator or None.")


def child_seed(seed: np.random.SeedSequence, child: int) -> np.random.SeedSequence:
    """Seed of one of several independent parts, such as a replication.

    It depends on the number of the child and not on how many there are; and unlike ``spawn`` it leaves the parent as it
    was, so that the same SeedSequence gives the same children again.

    Examples
    --------
    >>> child_seed(np.random.SeedSequence(0), 3).spawn_key
    (3,)
    """
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, child))


def resolve_device(device: str = "auto") -> torch.device:
    """Choose the device that torch computes on.

    Parameters
    ----------
    device : str
        "auto" takes cuda, then mps, then cpu; anything else goes to torch as it is.

    Returns
    -------
    torch.device

    Raises
    ------
    OptionError
        If torch does not know the device or this machine does not have it.

    Examples
    --------
    >>> resolve_device("cpu").type
    'cpu'
    """
    import torch

    if device == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(kind)
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise OptionError(f"device={device!r} is not a device: use 'auto', 'cpu', 'cuda' or 'mps'.") from error
    absent = (chosen.type == "cuda" and not torch.cuda.is_available()) or (
        chosen.type == "mps" and not torch.backends.mps.is_available()
    )
    if absent:
        raise OptionError(f"device={device!r} is not available on this machine; device='auto' takes the best one here.")
    return chosen


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Choose the number type of a network's weights and activations.

    Parameters
    ----------
    dtype : {"auto", "float32", "bfloat16", "float64"}
        "auto" is bfloat16 where the device multiplies it natively, else float32.
    device : torch.device
        Where the network runs.

    Returns
    -------
    torch.dtype
        Always explicit, to be recorded with results.

    Raises
    ------
    OptionError
        For another name.

    Examples
    --------
    >>> resolve_dtype("float32", resolve_device("cpu"))
    torch.float32
    """
    import torch

    check_option("dtype", dtype, ["auto", "float32", "bfloat16", "float64"])
    if dtype != "auto":
        kind: torch.dtype = getattr(torch, dtype)
        return kind
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type == "cpu" and _cpu_has_bfloat16() else torch.float32


def _cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively: emulation is slower than float32."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())

"""Keeping a training on disk, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from econllm.errors import OptionError
from econllm.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

_FILE = "training.safetensors"
# Where the file's metadata, which are texts, hold everything that is no tensor.
_KEY = "econllm_training"
# What a training is recognised by, in the words of messages.
_WORDS = {
    "seed": "another seed",
    "data": "other data or weights",
    "network": "another network",
    "precision": "another number type",
    "validation": "or without a validation sample",
    "description": "another model",
}


@dataclass(frozen=True)
class Checkpoint:
    """The folder of one training, which holds one file that is replaced whole.

    Attributes
    ----------
    folder : pathlib.Path
        Where the file is.
    identity : dict
        What is trained, in JSON types, by "seed", "options", "data" and so on.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Checkpoint.open(folder, {"seed": 1}).read() is None
    True
    """

    folder: Path
    identity: dict[str, Any]

    @classmethod
    def open(cls, folder: str | os.PathLike[str], identity: Mapping[str, Any]) -> Checkpoint:
        """Make the folder, or check that it is that of a training.

        Parameters
        ----------
        folder : path
            New or empty folder, or one with a checkpoint.
        identity : mapping
            What is trained, in JSON types.

        Returns
        -------
        Checkpoint

        Raises
        ------
        OptionError
            If the folder is a file or holds other files only.
        """
        place = Path(folder).expanduser()
        if place.exists() and not place.is_dir():
            raise OptionError(f"checkpoint={os.fspath(folder)!r} is a file; give a new or empty folder.")
        place.mkdir(parents=True, exist_ok=True)
        # A run that was killed while it wrote leaves a draft, whose name starts as in files.replacing.
        strange = [path for path in place.iterdir() if not path.name.startswith(f".{_FILE}.")]
        if strange and not (place / _FILE).is_file():
            raise OptionError(f"checkpoint={os.fspath(folder)!r} holds other files; give a new or empty folder.")
        # Through JSON and back, so that tuples compare with the lists they become on disk.
        return cls(place, json.loads(json.dumps(dict(identity))))

    def write(self, progress: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Replace what the folder holds.

        Parameters
        ----------
        progress : mapping
            How far training came, in JSON types.
        tensors : mapping of str to torch.Tensor
            Weights and state of the optimiser.
        """
        import torch
        from safetensors.torch import save

        # Copies, because safetensors refuses tensors that share memory.
        copies = {
            name: t.detach().to("cpu", copy=True, memory_format=torch.contiguous_format) for name, t in tensors.items()
        }
        text = json.dumps({"identity": self.identity, "progress": dict(progress)})
        with replacing(self.folder / _FILE) as draft:
            # Through bytes: safetensors' own writer makes files that their owner alone can read.
            draft.write_bytes(save(copies, metadata={_KEY: text}))

    def read(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Read what was written last.

        Returns
        -------
        progress, tensors
            As given to :meth:`write`, the tensors on the CPU; None if nothing was written yet.

        Raises
        ------
        OptionError
            If the file is that of another training or none at all.
        """
        from safetensors import SafetensorError, safe_open

        path = self.folder / _FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                found = json.loads((file.metadata() or {})[_KEY])
                self._compare(found["identity"])
                return found["progress"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, json.JSONDecodeError) as error:
            raise OptionError(f"{str(path)!r} is no checkpoint of a training; give a new or empty folder.") from error

    def _compare(self, found: dict[str, Any]) -> None:
        """Raise unless the file is of the same training, saying what is different."""
        names = [name for name in self.identity if found.get(name) != self.identity[name]]
        if not names:
            return
        there, here = found.get("options", {}), self.identity.get("options", {})
        parts = [f"{k}={there.get(k)!r}, not {here[k]!r}" for k in here if there.get(k) != here[k]]
        parts += [f"with {_WORDS[name]}" for name in names if name in _WORDS]
        raise OptionError(
            f"checkpoint={str(self.folder)!r} holds another training ({'; '.join(parts)}): give a new folder, or go on "
            "with what it was started with."
        )

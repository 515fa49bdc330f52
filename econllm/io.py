"""Saving and loading results: JSON for what can be read, safetensors for arrays, never pickle."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np

import econllm
from econllm.base import Estimator, FitInfo, Results
from econllm.choices import ChoiceSet
from econllm.errors import DataError, OptionError

FORMAT = 1
_JSON, _ARRAYS = "results.json", "arrays.safetensors"
# Where every class of results and its specification live.
_CLASSES = {
    "CAREERResults": ("econllm.career", "CAREER"),
    "EmpiricalResults": ("econllm.empirical", "Empirical"),
    "EncoderClassifierResults": ("econllm.llm", "EncoderClassifier"),
    "EnsembleResults": ("econllm.ensemble", "Ensemble"),
    "LLMResults": ("econllm.llm", "LLM"),
    "MNLogitResults": ("econllm.multinomial", "MNLogit"),
    "OracleResults": ("econllm.datasets", "Oracle"),
    "TwoStageMNLogitResults": ("econllm.multinomial", "MNLogit"),
}
# Options that are objects of their own.
_OPTIONS = {
    "Frozen": "econllm.llm",
    "LoRA": "econllm.llm",
    "Prompt": "econllm.llm",
    "PromptTemplate": "econllm.llm",
    "PromptTuning": "econllm.llm",
    "ResumeTemplate": "econllm.text",
    "SentenceEncoder": "econllm.encoders",
    "Training": "econllm.training",
}


def load(folder: str | os.PathLike[str]) -> Results:
    """Read a result that was saved with :meth:`econllm.Results.save`.

    Parameters
    ----------
    folder : path
        The folder given to `save`.

    Returns
    -------
    Results
        Of the class that was saved; predictions are equal to the last bit.

    Raises
    ------
    DataError
        If there is no saved result, it is damaged, or it was written in another format.

    Examples
    --------
    >>> import pandas as pd, tempfile, econllm as el
    >>> df = pd.DataFrame({"id": [1, 1], "t": [0, 1], "job": ["a", "b"]})
    >>> folder = tempfile.mkdtemp() + "/fit"
    >>> el.Empirical().fit(el.CareerPanel(df, "id", "t", "job")).save(folder)
    >>> load(folder).model
    Empirical()
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = Path(folder)
    if not (path / _JSON).is_file():
        raise DataError(f"{os.fspath(folder)!r} holds no saved result: {_JSON} is missing.")
    try:
        content = json.loads((path / _JSON).read_text(encoding="utf-8"))
        found = (content.get("format"), content.get("class"), content.get("econllm", "unknown"))
        arrays = load_file(path / _ARRAYS)
    except (ValueError, AttributeError, OSError, SafetensorError) as error:
        raise DataError(f"the saved result in {os.fspath(folder)!r} is damaged or incomplete: {error}") from error
    if found[0] != FORMAT or found[1] not in _CLASSES:
        raise DataError(
            f"the result in {os.fspath(folder)!r} was written by econllm {found[2]} in a format that version "
            f"{econllm.__version__} does not read."
        )
    try:
        return _rebuild(content, arrays)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"the saved result in {os.fspath(folder)!r} is damaged: its parts do not fit "
            f"({type(error).__name__}: {error})."
        ) from error


def _content(results: Results, arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    """Everything of a result but its arrays, which are moved aside."""
    if type(results).__name__ not in _CLASSES:
        raise OptionError(f"{type(results).__name__} cannot be saved; {', '.join(_CLASSES)} can.")
    return {
        "class": type(results).__name__,
        "model": pack(_options(results.model), arrays, f"{name}model"),
        "choices": {"codes": list(results.choices.codes), "titles": list(results.choices.titles)},
        "info": pack(dataclasses.asdict(results.info), arrays, f"{name}info"),
        "state": pack(results._state(), arrays, f"{name}state"),
    }


def _options(value: Any) -> dict[str, Any]:
    """Fields of a specification or of an option, the objects of the caller aside."""
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name != "context"}


def _model(name: str) -> type[Estimator]:
    """Class of a specification, by its name."""
    module = next(home for home, model in _CLASSES.values() if model == name)
    found: type[Estimator] = getattr(importlib.import_module(module), name)
    return found


def _rebuild(content: dict[str, Any], arrays: dict[str, np.ndarray]) -> Results:
    """Undo :func:`_content`."""
    module, model_name = _CLASSES[content["class"]]
    home = importlib.import_module(module)
    model = getattr(home, model_name)(**unpack(content["model"], arrays))
    choices = ChoiceSet(content["choices"]["codes"], content["choices"]["titles"])
    info = unpack(content["info"], arrays)
    info["unseen"] = tuple(info["unseen"])
    state = unpack(content["state"], arrays)
    results: Results = getattr(home, content["class"])._from_state(model, choices, FitInfo(**info), state)
    return results


def write_results(results: Results, folder: Path, *, overwrite: bool) -> None:
    """Write a result into a folder; see :meth:`Results.save`. The folder appears whole or not at all."""
    from safetensors.numpy import save

    if folder.exists() and not (overwrite and (folder / _JSON).is_file()):
        hint = "it is no saved result" if overwrite else "pass overwrite=True to replace a saved result"
        raise OptionError(f"{os.fspath(folder)!r} exists already; {hint}.")
    if not folder.absolute().parent.is_dir():
        raise OptionError(f"the folder {os.fspath(folder.absolute().parent)!r} does not exist; create it first.")
    arrays: dict[str, np.ndarray] = {}
    content = {"format": FORMAT, "econllm": econllm.__version__, **_content(results, arrays, "")}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=True)
    beside = folder.absolute().parent / f".{folder.name}-{uuid.uuid4().hex}"
    temporary, earlier = beside.with_suffix(".new"), beside.with_suffix(".old")
    try:
        temporary.mkdir()
        (temporary / _JSON).write_text(text, encoding="utf-8")
        # Through bytes: safetensors' own writer makes files that their owner alone can read.
        (temporary / _ARRAYS).write_bytes(save(arrays))
        if folder.exists():
            os.replace(folder, earlier)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if earlier.exists():
            os.replace(earlier, folder)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def pack(value: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    """Turn plain objects into what JSON holds, moving arrays aside.

    Parameters
    ----------
    value : object
        None, booleans, numbers, texts, lists, tuples, mappings, arrays, results, options, and nestings of them.
    arrays : dict
        Receives the arrays.
    name : str
        Path of the value, which names its arrays.

    Returns
    -------
    object

    Raises
    ------
    DataError
        For another kind of object, naming where it is.

    Examples
    --------
    >>> pack({"a": np.arange(2), "b": (1, None)}, {}, "x")
    {'a': {'__array__': 'x.a'}, 'b': [1, None]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        # safetensors needs memory in C order, and a zero-dimensional array keeps its shape.
        arrays[name] = np.ascontiguousarray(value).reshape(value.shape)
        return {"__array__": name}
    if isinstance(value, list | tuple):
        return [pack(item, arrays, f"{name}.{i}") for i, item in enumerate(value)]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("__") for key in value):
            return {key: pack(item, arrays, f"{name}.{key}") for key, item in value.items()}
        pairs = [
            [pack(k, arrays, f"{name}.key{i}"), pack(v, arrays, f"{name}.{i}")]
            for i, (k, v) in enumerate(value.items())
        ]
        return {"__pairs__": pairs}
    if isinstance(value, Estimator):
        return {"__model__": type(value).__name__, "options": pack(_options(value), arrays, name)}
    if isinstance(value, Results):
        return {"__results__": _content(value, arrays, f"{name}.")}
    if type(value).__name__ in _OPTIONS:
        return {"__options__": type(value).__name__, "fields": pack(_options(value), arrays, name)}
    raise DataError(f"{name} holds a {type(value).__name__}, which cannot be saved.")


def unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Undo :func:`pack`; tuples come back as lists.

    Examples
    --------
    >>> unpack({"__pairs__": [[0, 1.5]]}, {})
    {0: 1.5}
    """
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        return arrays[value["__array__"]]
    if "__pairs__" in value:
        return {k if not isinstance(k, list) else tuple(k): unpack(v, arrays) for k, v in value["__pairs__"]}
    if "__model__" in value:
        return _model(value["__model__"])(**unpack(value["options"], arrays))
    if "__results__" in value:
        return _rebuild(value["__results__"], arrays)
    if "__options__" in value:
        home = importlib.import_module(_OPTIONS[value["__options__"]])
        return getattr(home, value["__options__"])(**unpack(value["fields"], arrays))
    return {key: unpack(item, arrays) for key, item in value.items()}

"""Language models made ready for training, what has to be saved of them, and the way back."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from econllm.encoders.language import LanguageModel
from econllm.encoders.tokens import quiet_fork
from econllm.errors import DataError, OptionError, did_you_mean, listing
from econllm.llm.decoder import Decoder
from econllm.llm.tuning import Frozen, LoRA, PromptTuning, Tuning, check_tuning


def prepare(language: LanguageModel, tuning: Tuning, seed: np.random.SeedSequence) -> Decoder:
    """Make a decoder of which only what is to be trained has gradients.

    Parameters
    ----------
    language : LanguageModel
        Stays as it is: what is trained are copies. Weights that are kept share its memory.
    tuning : "full", LoRA, Frozen, PromptTuning or None
        What is to be trained.
    seed : numpy.random.SeedSequence
        Source of initial values, for LoRA and PromptTuning.

    Returns
    -------
    Decoder
        In evaluation mode. Its predictions are those of the model, but for PromptTuning.

    Raises
    ------
    OptionError
        If peft is needed and absent, the network has no such layers or not so many blocks, or the vectors in front
        leave no room for a text.

    Notes
    -----
    What is trained is in float32 or better, because small steps are lost at 16 bits. With "full" and Frozen, that makes
    the whole network so; autocast saves the time. LoRA and PromptTuning leave its number type.

    Examples
    --------
    >>> from econllm.encoders.language import load_language_model
    >>> language = load_language_model("tiny", None, "float32", "cpu")
    >>> decoder = prepare(language, PromptTuning(tokens=5), np.random.SeedSequence(0))
    >>> [name for name, values in decoder.named_parameters() if values.requires_grad], decoder.soft_tokens
    (['soft'], 5)
    """
    check_tuning(tuning)
    network = shared_copy(language.network)
    soft = None
    if isinstance(tuning, LoRA):
        _inject(network, tuning, seed)
    elif isinstance(tuning, PromptTuning):
        soft = _vectors(network, language, tuning, seed)
    elif isinstance(tuning, Frozen):
        _widen(network)
        _release(_last(network, tuning.train_last))
    elif tuning == "full":
        _widen(network)
        _release(network.parameters())
    return Decoder(network, soft).eval()


def trained_state(decoder: Decoder) -> dict[str, np.ndarray]:
    """Copies of what was trained, which is what has to be saved.

    Parameters
    ----------
    decoder : Decoder
        From :func:`prepare` or :func:`restore`.

    Returns
    -------
    dict from str to numpy.ndarray of float32 or float64
        All weights for tuning "full", those that are shared once; nothing for None.

    Examples
    --------
    >>> from econllm.encoders.language import load_language_model
    >>> language = load_language_model("tiny", None, "float32", "cpu")
    >>> decoder = prepare(language, PromptTuning(tokens=5), np.random.SeedSequence(0))
    >>> {name: values.shape[0] for name, values in trained_state(decoder).items()}
    {'soft': 5}
    """
    return {name: values.detach().cpu().numpy().copy() for name, values in _trained(decoder).items()}


def restore(language: LanguageModel, tuning: Tuning, state: Mapping[str, np.ndarray]) -> Decoder:
    """Undo :func:`trained_state`.

    Parameters
    ----------
    language : LanguageModel
        The one that was trained, in the same number type.
    tuning : "full", LoRA, Frozen, PromptTuning or None
        What was trained.
    state : mapping from str to numpy.ndarray
        From :func:`trained_state`.

    Returns
    -------
    Decoder
        In evaluation mode; predicts the same to the last bit.

    Raises
    ------
    DataError
        If the arrays are not those of this model and tuning.
    OptionError
        As :func:`prepare`.

    Examples
    --------
    >>> from econllm.encoders.language import load_language_model
    >>> language = load_language_model("tiny", None, "float32", "cpu")
    >>> tuned = prepare(language, PromptTuning(tokens=5), np.random.SeedSequence(0))
    >>> torch.equal(restore(language, PromptTuning(tokens=5), trained_state(tuned)).soft, tuned.soft)
    True
    """
    decoder = prepare(language, tuning, np.random.SeedSequence(0))
    trained = _trained(decoder)
    shapes = {name: tuple(values.shape) for name, values in trained.items()}
    found = {name: tuple(np.shape(values)) for name, values in state.items()}
    if shapes != found:
        wrong = sorted({name for name, _ in shapes.items() ^ found.items()})
        raise DataError(f"{len(wrong)} arrays are not those of this model and tuning: {listing(wrong, 3)}.")
    with torch.no_grad():
        for name, values in state.items():
            trained[name].copy_(torch.as_tensor(np.array(values)))
    return decoder


def shared_copy(network: Any) -> Any:
    """A network of its own whose weights have no gradients and share the memory of the original.

    Parameters
    ----------
    network : torch.nn.Module
        Stays as it is.

    Returns
    -------
    torch.nn.Module

    Examples
    --------
    >>> first = nn.Linear(2, 1)
    >>> second = shared_copy(first)
    >>> second.weight.data_ptr() == first.weight.data_ptr(), second.weight.requires_grad, first.weight.requires_grad
    (True, False, True)
    """
    shared = {id(values): nn.Parameter(values.detach(), requires_grad=False) for values in network.parameters()}
    return copy.deepcopy(network, shared)


def _trained(decoder: Decoder) -> dict[str, nn.Parameter]:
    return {name: values for name, values in decoder.named_parameters() if values.requires_grad}


def _widen(network: Any) -> None:
    """Have weights of 16 bits in float32."""
    if torch.finfo(network.dtype).bits < 32:
        network.float()


def _release(parameters: Iterable[nn.Parameter]) -> None:
    """Let parameters be trained, in memory of their own."""
    for values in parameters:
        values.data = values.data.clone()
        values.requires_grad_(True)


def _blocks(network: Any) -> tuple[nn.Module, nn.ModuleList]:
    """What holds the blocks of a network, and the list of them: the one with the most weights."""
    lists = [
        (module, child)
        for module in network.base_model.modules()
        for child in module.children()
        if isinstance(child, nn.ModuleList)
    ]
    if not lists:
        raise OptionError(f"a {type(network).__name__} has no list of blocks: use tuning='full' or PromptTuning().")
    # Experts within a block may be more in number.
    return max(lists, key=lambda pair: sum(values.numel() for values in pair[1].parameters()))


def _last(network: Any, count: int) -> list[nn.Parameter]:
    """Parameters of the last blocks, of the normalisation after them, and of the head if it has its own."""
    owner, blocks = _blocks(network)
    if count > len(blocks):
        raise OptionError(f"train_last={count} is more than the {len(blocks)} blocks of this model.")
    norms = [
        child
        for name, child in owner.named_children()
        if "norm" in type(child).__name__.lower() and "embed" not in name
    ]
    embeddings = network.get_input_embeddings().weight
    modules = [*list(blocks)[len(blocks) - count :], *norms, network.get_output_embeddings()]
    found = {id(values): values for module in modules for values in module.parameters() if values is not embeddings}
    return list(found.values())


def _inject(network: Any, tuning: LoRA, seed: np.random.SeedSequence) -> None:
    """Put adapters beside linear layers, in place."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise OptionError(
            'tuning=LoRA() needs the package peft, which is not installed: pip install "econllm[lora]".'
        ) from error
    targets = _targets(network, tuning.targets)
    # Declared a whole number, and used as any number.
    alpha: Any = 2 * tuning.r if tuning.alpha is None else tuning.alpha
    options = LoraConfig(
        r=tuning.r,
        lora_alpha=alpha,
        lora_dropout=tuning.dropout,
        target_modules=list(targets),
        # Weights of GPT-2 are stored the other way round.
        fan_in_fan_out=not any(isinstance(layer, nn.Linear) for layer in targets.values()),
    )
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed every GPU, too.
        torch.default_generator.manual_seed(int(seed.generate_state(1, np.uint64)[0]))
        inject_adapter_in_model(options, network)
    for values in network.parameters():
        if values.requires_grad:
            values.data = values.data.to(torch.promote_types(values.dtype, torch.float32))


def _targets(network: Any, wanted: tuple[str, ...] | None) -> dict[str, nn.Module]:
    """Linear layers by their full names: those in the blocks, or those asked for."""
    from transformers.pytorch_utils import Conv1D

    head = network.get_output_embeddings()
    linear = {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | Conv1D) and layer is not head
    }
    if wanted is None:
        inside = set(_blocks(network)[1].modules())
        return {name: layer for name, layer in linear.items() if layer in inside}
    names = sorted({name.rpartition(".")[2] for name in linear})
    for target in wanted:
        if not any(_ends(name, target) for name in linear):
            raise OptionError(
                f"targets: the model has no linear layer {target!r} that LoRA can train.{did_you_mean(target, names)} "
                f"It has {listing(names, 20)}."
            )
    return {name: layer for name, layer in linear.items() if any(_ends(name, target) for target in wanted)}


def _ends(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")


def _vectors(network: Any, language: LanguageModel, tuning: PromptTuning, seed: np.random.SeedSequence) -> Tensor:
    """Initial vectors in front of every text, in float32 or better."""
    if tuning.tokens >= language.context - len(language.opening):
        raise OptionError(
            f"PromptTuning(tokens={tuning.tokens}) leaves no room for a text: the model reads {language.context}."
        )
    tokenizer, embeddings = language.tokenizer, network.get_input_embeddings()
    if tuning.text is None:
        special = set(tokenizer.all_special_ids)
        among = [k for k in range(min(len(tokenizer), len(embeddings.weight))) if k not in special]
        ids = np.random.default_rng(seed).choice(among, tuning.tokens)
    else:
        with quiet_fork():
            read = tokenizer(tuning.text, add_special_tokens=False, verbose=False)["input_ids"]
        ids = np.resize(np.array(read, dtype=np.int64), tuning.tokens)
    with torch.no_grad():
        vectors: Tensor = embeddings(torch.as_tensor(ids, device=embeddings.weight.device))
        return vectors.to(torch.promote_types(vectors.dtype, torch.float32))

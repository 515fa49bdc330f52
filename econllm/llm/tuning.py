"""How much of a language model is trained: options of fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from econllm.errors import OptionError, check_number, check_share, did_you_mean, refusal
from econllm.options import make_plain


@dataclass(frozen=True)
class LoRA:
    """Train a product of two narrow matrices beside each large one, which is kept.

    Needs the extra `lora`, which installs peft.

    Parameters
    ----------
    r : int
        Rank of the product.
    alpha : float, optional
        The product is multiplied by alpha / r; by default alpha is 2 r.
    dropout : float
        Share of the inputs of the product that is dropped in training, from 0 up to but not including 1.
    targets : sequence of str, optional
        Names of linear layers, or ends of their full names: "q_proj", "mlp.up_proj". By default all in the blocks, of
        attention and of what follows it; never the output layer.

    Raises
    ------
    OptionError
        For a value that is not allowed.

    Notes
    -----
    Hu et al. (LoRA: Low-rank adaptation of large language models, ICLR 2022): W x becomes W x + (alpha / r) B A x with
    B zero at the start, so that training begins at the model as it was. A and B are kept in float32 or better. Experts
    that a model stores as one array, and not as linear layers, are not trained.

    Examples
    --------
    >>> LoRA(r=4, targets=["q_proj", "v_proj"])
    LoRA(r=4, alpha=None, dropout=0.0, targets=('q_proj', 'v_proj'))
    """

    r: int = 8
    alpha: float | None = None
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        check_number("r", self.r, minimum=1, integer=True)
        if self.alpha is not None:
            check_number("alpha", self.alpha, above=0)
        check_share("dropout", self.dropout)
        if self.targets is not None:
            names = self.targets
            if not isinstance(names, tuple | list) or not names or not all(isinstance(n, str) and n for n in names):
                raise OptionError(refusal("targets", names, "not allowed", "give names of layers, or None for all"))
            object.__setattr__(self, "targets", tuple(names))


@dataclass(frozen=True)
class Frozen:
    """Train the last blocks, the last normalisation and the output layer, and keep everything else.

    Parameters
    ----------
    train_last : int
        Blocks that are trained; 0 trains normalisation and output layer only. An output layer that shares its weights
        with the embeddings of tokens is kept, too.

    Raises
    ------
    OptionError
        For a value that is not allowed.

    Examples
    --------
    >>> Frozen(train_last=2)
    Frozen(train_last=2)
    """

    train_last: int = 1

    def __post_init__(self) -> None:
        make_plain(self)
        check_number("train_last", self.train_last, minimum=0, integer=True)


@dataclass(frozen=True)
class PromptTuning:
    """Train vectors in front of every text, and keep the model.

    Parameters
    ----------
    tokens : int
        How many vectors.
    text : str, optional
        Where they begin: at the embeddings of its tokens, repeated or cut to their number. By default they begin at
        those of tokens drawn at random.

    Raises
    ------
    OptionError
        For a value that is not allowed.

    Notes
    -----
    Lester, Al-Rfou and Constant (The power of scale for parameter-efficient prompt tuning, EMNLP 2021). The vectors
    take room from the context of the model, as tokens do.

    Examples
    --------
    >>> PromptTuning(tokens=8, text="The career of a worker:")
    PromptTuning(tokens=8, text='The career of a worker:')
    """

    tokens: int = 20
    text: str | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        check_number("tokens", self.tokens, minimum=1, integer=True)
        if self.text is not None and (not isinstance(self.text, str) or not self.text.strip()):
            raise OptionError(refusal("text", self.text, "not allowed", "give a text, or None for random tokens"))


Tuning = Literal["full"] | LoRA | Frozen | PromptTuning | None
_KINDS = (LoRA, Frozen, PromptTuning)


def check_tuning(value: Any) -> None:
    """Raise unless a value says how much of a model is trained.

    Parameters
    ----------
    value : object
        Allowed are "full", a :class:`LoRA`, :class:`Frozen` or :class:`PromptTuning`, and None for nothing.

    Raises
    ------
    OptionError
        For anything else.

    Examples
    --------
    >>> check_tuning(LoRA(r=4))
    >>> check_tuning("fulll")
    Traceback (most recent call last):
    econllm.errors.OptionError: tuning='fulll' is not an option: choose 'full', LoRA(), Frozen(), PromptTuning() or
    None. Did you mean 'full'?
    """
    if value is None or (isinstance(value, str) and value == "full") or isinstance(value, _KINDS):
        return
    if isinstance(value, type) and value in _KINDS:
        raise OptionError(f"tuning={value.__name__} is the name of an option only: write {value.__name__}().")
    message = refusal("tuning", value, "not an option", "choose 'full', LoRA(), Frozen(), PromptTuning() or None")
    near = did_you_mean(value, ["full", *(f"{kind.__name__}()" for kind in _KINDS)]) if isinstance(value, str) else ""
    raise OptionError(message + near)

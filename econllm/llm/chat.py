"""Conversations as a chat model's own template writes them: text before a question, before an answer, and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from econllm.errors import OptionError

# Stand for the last question and its answer while the template writes the turns around them.
_QUESTION, _ANSWER, _INSTRUCTION = "econllm-question", "econllm-answer", "econllm-instruction"
# Some templates write today's date into the prompt: results must not change from one day to the next.
_FIXED_DATE = "{%- macro strftime_now(format) -%}01 January 2025{%- endmacro %}"


@dataclass(frozen=True)
class Chat:
    r"""What a tokenizer's chat template puts around messages.

    Attributes
    ----------
    tokenizer : transformers tokenizer
        With a chat template.
    template : str
        The template, in which every date is 1 January 2025.
    system : bool
        Whether the template writes messages of the role "system".
    lead : str
        What stands between the text before an answer and the answer: a blank or nothing.
    terminator : str
        What ends an answer: the text up to the first special token after it, else all that follows it.

    Notes
    -----
    The place of an answer is where the template itself writes an assistant's turn in a finished conversation. Where
    models may think aloud first, the generation prompt invites them to; a finished turn holds the answer alone.

    Examples
    --------
    >>> Chat(None, "", system=True, lead="", terminator="<|im_end|>").terminator
    '<|im_end|>'
    """

    tokenizer: Any
    template: str
    system: bool
    lead: str
    terminator: str

    @classmethod
    def read(cls, tokenizer: Any) -> Chat:
        """Find out how a tokenizer's template writes turns.

        Parameters
        ----------
        tokenizer : transformers tokenizer
            Of a chat model.

        Returns
        -------
        Chat

        Raises
        ------
        OptionError
            If there is no template, it cannot write a question and an answer, or nothing ends an answer.

        Examples
        --------
        >>> from transformers import AutoTokenizer  # doctest: +SKIP
        >>> Chat.read(AutoTokenizer.from_pretrained("HuggingFaceTB/SmolLM2-135M-Instruct")).terminator  # doctest: +SKIP
        '<|im_end|>'
        """
        template = _template_of(tokenizer)
        question = [{"role": "user", "content": _QUESTION}, {"role": "assistant", "content": _ANSWER}]
        _, between, after = _split(_render(tokenizer, template, question))
        terminator = _end_of_turn(tokenizer, after)
        lead = " " if between.endswith(" ") else ""
        return cls(tokenizer, template, _writes_system(tokenizer, template, question), lead, terminator)

    def around(self, instruction: str, turns: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """Text before and after the last question of a conversation.

        Parameters
        ----------
        instruction : str
            The system message; in front of the first question where the template knows no such role. Empty for none.
        turns : sequence of (str, str)
            Questions and answers that came before.

        Returns
        -------
        tuple of two str
            What stands before the last question, and from its end to the place of its answer, lead excluded.

        Raises
        ------
        OptionError
            If the template cannot write the conversation.

        Examples
        --------
        >>> Chat.read(tokenizer).around("Answer briefly.", [("2 + 2?", "4")])  # doctest: +SKIP
        """
        pairs = [*turns, (_QUESTION, _ANSWER)]
        messages = []
        if instruction and self.system:
            messages.append({"role": "system", "content": instruction})
        elif instruction:
            pairs[0] = (f"{instruction}\n\n{pairs[0][0]}", pairs[0][1])
        for question, answer in pairs:
            messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        before, between, _ = _split(_render(self.tokenizer, self.template, messages))
        if adds_bos(self.tokenizer):
            before = before.removeprefix(self.tokenizer.bos_token)
        return before, between.removesuffix(self.lead)


def adds_bos(tokenizer: Any) -> bool:
    """Whether a tokenizer puts its token for the beginning of a text in front by itself.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Any.

    Returns
    -------
    bool

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> adds_bos(SimpleNamespace(bos_token=None))
    False
    """
    return tokenizer.bos_token is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]


def _template_of(tokenizer: Any) -> str:
    if tokenizer is None or not getattr(tokenizer, "chat_template", None):
        raise OptionError(
            "chat=True needs a model whose tokenizer has a chat template, and this one has none: choose a model "
            "tuned for conversations (their names often end in -Instruct or -it), or leave chat=True out."
        )
    try:
        template: str = tokenizer.get_chat_template()
    except ValueError as error:  # several templates with names, none of them the default
        raise OptionError(f"chat=True: the tokenizer's chat template cannot be chosen: {error}") from error
    return _FIXED_DATE + template if "strftime_now" in template else template


def _render(tokenizer: Any, template: str, messages: list[dict[str, str]]) -> str:
    from jinja2.exceptions import TemplateError

    try:
        # Templates with a switch for thinking aloud are told that answers come at once; others ignore the word.
        text: str = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, enable_thinking=False
        )
    except TemplateError as error:
        roles = " and ".join(dict.fromkeys(message["role"] for message in messages))
        raise OptionError(f"the tokenizer's chat template cannot write {roles} turns: {error}") from error
    return text


def _split(text: str) -> tuple[str, str, str]:
    """Text before the last question, between it and its answer, and after the answer."""
    head, found_answer, after = text.rpartition(_ANSWER)
    before, found_question, between = head.rpartition(_QUESTION)
    if not found_answer or not found_question:
        raise OptionError("the tokenizer's chat template leaves out or changes what is said; it cannot be used.")
    return before, between, after


def _end_of_turn(tokenizer: Any, after: str) -> str:
    """What follows an answer, up to the first special token: a model learns to say no more than that."""
    tokens = [token for token in {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()} if token.strip()]
    ends = [after.find(token) + len(token) for token in tokens if token in after]
    terminator = after[: min(ends)] if ends else after or tokenizer.eos_token
    if not terminator:
        raise OptionError("the tokenizer's chat template puts nothing after an answer, so that its end cannot be told.")
    return str(terminator)


def _writes_system(tokenizer: Any, template: str, question: list[dict[str, str]]) -> bool:
    """Whether a system message appears in the text; some templates refuse it, some leave it out."""
    try:
        return _INSTRUCTION in _render(tokenizer, template, [{"role": "system", "content": _INSTRUCTION}, *question])
    except OptionError:
        return False

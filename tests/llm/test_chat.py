"""Chat templates of three kinds: with a system role, with it inside the first question, and without."""

import pytest

from econllm.errors import DataError, OptionError
from econllm.llm.chat import Chat, adds_bos
from econllm.llm.prompts import Prompt, word_panel
from econllm.panel import CareerPanel

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
INST = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}"
    "{% else %}{% set rest = messages %}{% set system = false %}{% endif %}"
    "{% for m in rest %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if loop.index0 == 0 and system %}{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + m['content'] %}"
    "{% else %}{% set content = m['content'] %}{% endif %}"
    "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\\n' + m['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "inst": INST, "gemma": GEMMA}
SPECIALS = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>"]


def make_tokenizer(template=None, bos=True):
    """One token per byte, special tokens apart; puts <s> in front where `bos`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate([*SPECIALS, *alphabet])}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    if bos:
        raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", additional_special_tokens=SPECIALS[2:]
    )
    tokenizer.chat_template = template
    return tokenizer


def messages_of(system, instruction, turns, question):
    pairs = [*turns, (question, None)]
    found = [{"role": "system", "content": instruction}] if system and instruction else []
    if instruction and not system:
        pairs[0] = (f"{instruction}\n\n{pairs[0][0]}", pairs[0][1])
    for asked, answer in pairs:
        found.append({"role": "user", "content": asked})
        if answer is not None:
            found.append({"role": "assistant", "content": answer})
    return found


@pytest.mark.parametrize(
    ("name", "system", "lead", "terminator"),
    [
        ("chatml", True, "", "<|im_end|>"),
        ("inst", True, " ", " </s>"),
        ("gemma", False, "", "<end_of_turn>"),
    ],
)
def test_what_a_template_puts_around_an_answer(name, system, lead, terminator):
    chat = Chat.read(make_tokenizer(TEMPLATES[name]))
    assert (chat.system, chat.lead, chat.terminator) == (system, lead, terminator)


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("turns", [[], [("What was 1980?", "Clerk"), ("And 1981?", "Cook")]])
@pytest.mark.parametrize("instruction", ["", "Predict the title."])
@pytest.mark.parametrize("name", TEMPLATES)
def test_around_equals_the_generation_prompt_of_the_tokenizer(name, instruction, turns, bos):
    tokenizer = make_tokenizer(TEMPLATES[name], bos)
    chat = Chat.read(tokenizer)
    before, after = chat.around(instruction, turns)
    question = "1982 (educ: 12):"
    whole = tokenizer.apply_chat_template(
        messages_of(chat.system, instruction, turns, question), tokenize=False, add_generation_prompt=True
    )
    bare = before + question + after
    assert bare == (whole.removeprefix("<s>") if bos else whole)
    # One beginning of the text, whoever writes it.
    ids = tokenizer(bare)["input_ids"]
    begin = [0] if bos or name != "chatml" else []
    assert ids == begin + tokenizer(whole.removeprefix("<s>"), add_special_tokens=False)["input_ids"]


def test_a_tokenizer_without_a_template_is_refused():
    for tokenizer in (make_tokenizer(), None):
        with pytest.raises(OptionError, match="has a chat template, and this one has none"):
            Chat.read(tokenizer)


def test_templates_that_cannot_be_used_are_refused():
    with pytest.raises(OptionError, match="cannot write user and assistant turns: no answers"):
        Chat.read(make_tokenizer("{{ raise_exception('no answers') }}"))
    with pytest.raises(OptionError, match="leaves out or changes"):
        Chat.read(make_tokenizer("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"))
    named = make_tokenizer({"tool_use": CHATML, "rag": CHATML})
    with pytest.raises(OptionError, match="cannot be chosen"):
        Chat.read(named)


def test_a_template_that_leaves_system_messages_out_gets_the_instruction_in_the_question():
    silent = "{% for m in messages if m['role'] != 'system' %}" + CHATML.partition("%}")[2]
    chat = Chat.read(make_tokenizer(silent))
    assert not chat.system
    assert "Predict.\n\n" in chat.around("Predict.", [])[0]


def test_the_end_of_an_answer_is_the_first_special_token_after_it():
    closing = "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}"
    assert Chat.read(make_tokenizer(CHATML + closing)).terminator == "<|im_end|>"
    plain = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}"
    chat = Chat.read(make_tokenizer(plain))
    assert (chat.lead, chat.terminator) == (" ", "\n")
    assert chat.around("", []) == ("user: ", "\nassistant:")
    bare = "{% for m in messages %}{{ '[' + m['role'] + ']' + m['content'] }}{% endfor %}"
    assert Chat.read(make_tokenizer(bare)).terminator == "</s>"
    endless = make_tokenizer(bare)
    endless.eos_token = None
    with pytest.raises(OptionError, match="its end cannot be told"):
        Chat.read(endless)


def test_answers_of_models_that_think_come_at_once():
    thinking = CHATML.replace(
        "'\\n' + m['content']",
        "'\\n' + ('<think>\\n\\n</think>\\n\\n' if loop.last and m['role'] == 'assistant' else '') + m['content']",
    )
    _, after = Chat.read(make_tokenizer(thinking)).around("", [("a", "b")])
    assert after == "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def test_templates_with_a_switch_for_thinking_are_told_not_to():
    switch = "{{ '/think' if enable_thinking is not defined or enable_thinking else '/no_think' }}"
    assert Chat.read(make_tokenizer(switch + CHATML)).around("", [])[0] == "/no_think<|im_start|>user\n"


def test_dates_in_templates_are_fixed():
    dated = "{%- if strftime_now is defined %}{{ strftime_now('%d %b %Y') + '\\n' }}{%- endif %}" + CHATML
    assert Chat.read(make_tokenizer(dated)).around("", [])[0] == "01 January 2025\n<|im_start|>user\n"


def test_adds_bos():
    assert adds_bos(make_tokenizer())
    assert not adds_bos(make_tokenizer(bos=False))


def test_a_title_that_holds_the_end_of_an_answer_is_refused(careers, roles):
    odd = careers.assign(job=careers["job"].replace("cook", "cook<|im_end|>"))
    with pytest.raises(DataError, match=r"holds '<\|im_end\|>'"):
        word_panel(CareerPanel(odd, **roles), Prompt(chat=True), None, make_tokenizer(CHATML))

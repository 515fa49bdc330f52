"""Fine-tuning: exactly what is asked for has gradients, the rest stays, and what is saved gives the same decoder."""

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedTokenizerFast,
)

from econllm.encoders.language import LanguageModel
from econllm.errors import DataError, OptionError
from econllm.llm.scoring import Scorer
from econllm.llm.trie import Trie
from econllm.llm.tuning import Frozen, LoRA, PromptTuning, check_tuning
from econllm.llm.tuning_network import prepare, restore, trained_state
from econllm.training import Training
from econllm.training.loop import train

SEED = np.random.SeedSequence(7)
VOCABULARY = 60
FAMILIES = ("llama", "gpt2", "opt")
TUNINGS = {
    "full": "full",
    "lora": LoRA(r=2),
    "frozen": Frozen(train_last=1),
    "prompt": PromptTuning(tokens=3),
}


def tokenizer():
    words = {word: k for k, word in enumerate(["<s>", *(f"w{k}" for k in range(1, VOCABULARY))])}
    plain = Tokenizer(models.WordLevel(words, unk_token="<s>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", unk_token="<s>")


def network(family, dtype=torch.float64, tied=False):
    torch.manual_seed(0)
    if family == "llama":
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=64,
            tie_word_embeddings=tied,
            initializer_range=0.3,
        )
        found = LlamaForCausalLM(config)
    elif family == "gpt2":
        config = GPT2Config(
            vocab_size=VOCABULARY, n_positions=64, n_embd=16, n_layer=3, n_head=2, initializer_range=0.3,
            bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        found = GPT2LMHeadModel(config)
    else:
        config = OPTConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            word_embed_proj_dim=16,
            ffn_dim=24,
            num_hidden_layers=3,
            num_attention_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=tied,
            init_std=0.3,
        )
        found = OPTForCausalLM(config)
    return found.to(dtype).eval()


def language(family="llama", dtype=torch.float64, tied=False):
    files = SimpleNamespace(folder=Path("random"))
    name = str(dtype).removeprefix("torch.")
    return LanguageModel(network(family, dtype, tied), tokenizer(), files, name, np.array([0], np.int32), 64)


def weights(source):
    return {name: values.detach().clone() for name, values in source.named_parameters()}


def same(before, after):
    return before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def trained(decoder):
    return {name for name, values in decoder.named_parameters() if values.requires_grad}


def toy(decoder):
    """Loss of four texts whose last token is always 5."""
    ids = torch.tensor([[0, 3, 9, 5], [0, 4, 2, 5], [0, 8, 8, 5], [0, 7, 1, 5]])

    def loss(at):
        hidden = decoder(ids[at])[:, 2]
        return -decoder.log_proba(hidden, torch.arange(len(at)), torch.full((len(at),), 5)).sum()

    return loss


def tune(decoder, epochs=3, folder=None):
    options = Training(epochs=epochs, batch=2, learning_rate=0.05, schedule="constant", warmup=0.0)
    return train(decoder, toy(decoder), np.ones(4), np.ones(4), options, SEED, checkpoint=folder)


def test_full_trains_every_weight():
    decoder = prepare(language(), "full", SEED)
    assert trained(decoder) == set(dict(decoder.named_parameters()))


def test_frozen_trains_the_last_blocks_the_last_norm_and_the_head():
    decoder = prepare(language(), Frozen(train_last=2), SEED)
    names = {name.removeprefix("network.") for name in trained(decoder)}
    expected = {name for name in weights(decoder.network) if name.startswith(("model.layers.1.", "model.layers.2."))}
    assert expected
    assert names == expected | {"model.norm.weight", "lm_head.weight"}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_tied_to_the_embeddings_stays(family):
    source = language(family, tied=True)
    decoder = prepare(source, Frozen(train_last=0), SEED)
    norm = {"llama": "model.norm", "gpt2": "transformer.ln_f", "opt": "model.decoder.final_layer_norm"}[family]
    assert {name.removeprefix("network.").rpartition(".")[0] for name in trained(decoder)} == {norm}
    assert decoder.network.get_output_embeddings().weight is decoder.network.get_input_embeddings().weight


def test_more_blocks_than_there_are():
    with pytest.raises(OptionError, match="train_last=4 is more than the 3 blocks"):
        prepare(language(), Frozen(train_last=4), SEED)


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_trains_two_matrices_beside_every_linear_layer_of_the_blocks(family):
    source = language(family)
    decoder = prepare(source, LoRA(r=2), SEED)
    layers = {"llama": 7, "gpt2": 4, "opt": 6}[family]
    names = trained(decoder)
    assert len(names) == 3 * layers * 2
    assert all(".lora_A." in name or ".lora_B." in name for name in names)
    assert not any("lm_head" in name for name in names)


def test_lora_targets_name_layers_or_ends_of_full_names():
    decoder = prepare(language(), LoRA(r=2, targets=["q_proj", "mlp.up_proj", "layers.0.mlp.down_proj"]), SEED)
    kinds = sorted(name.split(".lora_A")[0].split("layers.")[1] for name in trained(decoder) if ".lora_A" in name)
    assert kinds == ["0.mlp.down_proj"] + [
        f"{k}.{part}" for k in range(3) for part in ("mlp.up_proj", "self_attn.q_proj")
    ]


@pytest.mark.parametrize("target", ["q_prj", "lm_head", "proj"])
def test_lora_targets_that_are_not_there(target):
    message = f"no linear layer '{target}'.*It has 'down_proj', 'gate_proj', 'k_proj'"
    with pytest.raises(OptionError, match=message):
        prepare(language(), LoRA(targets=["q_proj", target]), SEED)


def test_lora_without_peft_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(OptionError, match=r'pip install "econllm\[lora\]"'):
        prepare(language(), LoRA(), SEED)


def test_lora_adds_its_product_times_alpha_over_r_and_begins_at_the_model():
    ids = torch.tensor([[0, 3, 9, 5]])
    base = prepare(language(), None, SEED)
    x = torch.randn(1, 4, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for alpha, scale in ((None, 2.0), (8.0, 4.0)):
        decoder = prepare(language(), LoRA(r=2, alpha=alpha), SEED)
        assert torch.equal(decoder(ids), base(ids))
        layer = decoder.network.model.layers[2].mlp.up_proj
        before = base.network.model.layers[2].mlp.up_proj(x)
        narrow, wide = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        wide.data.normal_(generator=torch.Generator().manual_seed(2))
        assert torch.allclose(layer(x), before + scale * x @ narrow.T @ wide.T)
        assert not torch.allclose(layer(x), before)


def test_lora_drops_in_training_only():
    decoder = prepare(language(), LoRA(r=2, dropout=0.5), SEED)
    for name, values in decoder.named_parameters():
        if "lora_B" in name:
            values.data.fill_(0.1)
    ids = torch.tensor([[0, 3, 9, 5]])
    assert torch.equal(decoder(ids), decoder(ids))
    decoder.train()
    assert not torch.equal(decoder(ids), decoder(ids))


def test_prompts_begin_at_the_words_of_a_text_or_at_tokens_of_the_vocabulary():
    source = language()
    embeddings = source.network.get_input_embeddings().weight
    worded = prepare(source, PromptTuning(tokens=5, text="w4 w9"), SEED)
    assert torch.equal(worded.soft, embeddings[[4, 9, 4, 9, 4]])
    random = prepare(source, PromptTuning(tokens=5), SEED).soft
    rows = [int((embeddings == vector).all(dim=1).nonzero()) for vector in random]
    assert 0 not in rows  # special tokens are no words
    assert len(set(rows)) > 1
    assert torch.equal(prepare(source, PromptTuning(tokens=5), SEED).soft, random)
    assert not torch.equal(prepare(source, PromptTuning(tokens=5), np.random.SeedSequence(8)).soft, random)


def test_a_prompt_needs_room_beside_a_text():
    with pytest.raises(OptionError, match="reads 64"):
        prepare(language(), PromptTuning(tokens=63), SEED)


@pytest.mark.parametrize("name", TUNINGS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_training_moves_what_is_trained_and_nothing_else(family, name):
    source = language(family, tied=True)
    before = weights(source.network)
    flags = {key: values.requires_grad for key, values in source.network.named_parameters()}
    decoder = prepare(source, TUNINGS[name], SEED)
    start = weights(decoder)
    history = tune(decoder)
    assert history.frame.loss.iloc[-1] < history.frame.loss.iloc[0]
    after = weights(decoder)
    moved = {key for key in start if not torch.equal(start[key], after[key])}
    # All tokens get some of the gradient, if only through the softmax; and every matrix is in use.
    assert moved == trained(decoder)
    assert same(before, weights(source.network))
    assert flags == {key: values.requires_grad for key, values in source.network.named_parameters()}


@pytest.mark.parametrize("name", TUNINGS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_restored_decoder_predicts_the_same_to_the_last_bit(family, name, dtype):
    source = language(family, dtype, tied=True)
    decoder = prepare(source, TUNINGS[name], SEED)
    tune(decoder, epochs=1)
    state = trained_state(decoder)
    wide = np.float64 if dtype == torch.float64 else np.float32
    assert {values.dtype for values in state.values()} == {np.dtype(wide)}
    again = restore(source, TUNINGS[name], state)
    ids = torch.tensor([[0, 3, 9, 5]])
    with torch.inference_mode():
        assert torch.equal(again.logits(again(ids)), decoder.logits(decoder(ids)))
        base = prepare(source, None, SEED)
        assert not torch.equal(base.logits(base(ids)), decoder.logits(decoder(ids)))
    assert trained_state(again).keys() == state.keys()
    assert not any(module.training for module in again.modules())


@pytest.mark.parametrize("name", ["lora", "prompt"])
def test_what_is_saved_is_small(name):
    source = language()
    state = trained_state(prepare(source, TUNINGS[name], SEED))
    total = sum(values.numel() for values in source.network.parameters())
    saved = sum(values.size for values in state.values())
    # Every matrix of n x m has r (n + m) numbers beside it.
    narrow = sum(
        2 * sum(values.shape)
        for key, values in source.network.named_parameters()
        if "layers" in key and values.ndim == 2
    )
    assert saved == {"lora": narrow, "prompt": 3 * 16}[name]
    assert saved < total / 2


def test_nothing_is_saved_where_nothing_is_trained():
    assert trained_state(prepare(language(), None, SEED)) == {}


def test_full_saves_tied_weights_once():
    source = language(tied=True)
    assert len(trained_state(prepare(source, "full", SEED))) == len(list(source.network.parameters()))


def test_arrays_of_another_tuning_are_refused():
    state = trained_state(prepare(language(), PromptTuning(tokens=3), SEED))
    with pytest.raises(DataError, match="1 arrays are not those of this model and tuning: 'soft'"):
        restore(language(), PromptTuning(tokens=4), state)
    with pytest.raises(DataError, match="43 arrays"):
        restore(language(), LoRA(), state)


def test_kept_weights_are_shared_and_trained_ones_are_not():
    source = language()
    kept = prepare(source, LoRA(r=2), SEED).network.get_input_embeddings().weight
    assert kept.data_ptr() == source.network.get_input_embeddings().weight.data_ptr()
    moved = prepare(source, "full", SEED).network.get_input_embeddings().weight
    assert moved.data_ptr() != source.network.get_input_embeddings().weight.data_ptr()


@pytest.mark.parametrize("name", TUNINGS)
def test_a_training_goes_on_bit_for_bit(name, tmp_path, monkeypatch):
    source = language("gpt2", torch.float32)
    whole = prepare(source, TUNINGS[name], SEED)
    tune(whole, epochs=4)
    broken = prepare(source, TUNINGS[name], SEED)
    count = []

    def interrupted(values, tensors, write):
        write(values, tensors)
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt

    from econllm.training.checkpoint import Checkpoint

    write = Checkpoint.write
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", lambda self, a, b: interrupted(a, b, lambda *x: write(self, *x)))
        with pytest.raises(KeyboardInterrupt):
            tune(broken, epochs=4, folder=tmp_path / "run")
    again = prepare(source, TUNINGS[name], SEED)
    tune(again, epochs=4, folder=tmp_path / "run")
    assert same(weights(whole), weights(again))


@pytest.mark.parametrize("tuning", [LoRA(r=2), PromptTuning(tokens=3)], ids=["lora", "prompt"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_titles_read_as_a_tree_are_those_read_one_by_one(family, tuning):
    decoder = prepare(language(family), tuning, SEED)
    tune(decoder, epochs=2)
    trie = Trie.of([[5, 6, 1], [5, 1], [7, 8, 9, 1], [7, 8, 1], [11, 1]])
    ids, cuts = np.array([0, 3, 9, 4, 22, 31, 9]), [4, 7]
    naive = Scorer(decoder, trie, "naive").score(ids, cuts).raw
    for engine in ("tree", "kv"):
        assert np.abs(Scorer(decoder, trie, engine).score(ids, cuts).raw - naive).max() < 1e-9
    base = Scorer(prepare(language(family), None, SEED), trie, "naive").score(ids, cuts).raw
    assert np.abs(base - naive).max() > 1e-2


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("ful", "choose 'full'.*Did you mean 'full'"),
        ("lora", r"Did you mean 'LoRA\(\)'"),
        ("prompt_tuning", r"Did you mean 'PromptTuning\(\)'"),
        (LoRA, r"write LoRA\(\)"),
        (True, "tuning=True is not an option"),
        (np.zeros(3), "tuning is a ndarray"),
    ],
    ids=["near", "case", "underscore", "class", "bool", "array"],
)
def test_other_tunings_are_refused(value, message):
    with pytest.raises(OptionError, match=message):
        check_tuning(value)


@pytest.mark.parametrize(
    "options",
    [
        lambda: LoRA(r=0),
        lambda: LoRA(alpha=0),
        lambda: LoRA(dropout=1.0),
        lambda: LoRA(targets="q_proj"),
        lambda: LoRA(targets=()),
        lambda: LoRA(targets=("q_proj", 3)),
        lambda: Frozen(train_last=-1),
        lambda: Frozen(train_last=1.5),
        lambda: PromptTuning(tokens=0),
        lambda: PromptTuning(text=" "),
    ],
)
def test_options_that_cannot_be(options):
    with pytest.raises(OptionError, match="not allowed"):
        options()


def test_options_are_plain_values():
    found = LoRA(r=np.int64(4), targets=["q_proj"])
    assert type(found.r) is int
    assert found == LoRA(r=4, targets=("q_proj",))
    assert eval(repr(found)) == found
    assert dataclasses.replace(found, r=2).r == 2

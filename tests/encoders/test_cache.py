import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from econllm.encoders import SentenceEncoder, VectorStore, cache_folder, text_key
from econllm.errors import EconLLMWarning
from econllm.text.resume import Resume


def keys_of(names):
    return [text_key(str(name)) for name in names]


def fill(store, names, value=0.0):
    vectors = np.array([[value, *range(i, i + 3)] for i in range(len(names))], dtype=np.float32)
    store.write(keys_of(names), vectors, np.arange(len(names)) % 2 == 0)
    return vectors


def test_reads_what_was_written_in_the_order_asked(tmp_path):
    store = VectorStore(tmp_path)
    vectors = fill(store, range(10))
    found, read, truncated = store.read(keys_of([9, "absent", 3]))
    assert found.tolist() == [0, 2]
    np.testing.assert_array_equal(read, vectors[[9, 3]])
    assert truncated.tolist() == [False, False]


def test_empty_store(tmp_path):
    found, vectors, truncated = VectorStore(tmp_path / "none").read(keys_of([1]))
    assert len(found) == len(vectors) == len(truncated) == 0


def test_keys_tell_apart_text_resume_and_their_pieces():
    texts = ["ab", Resume("a", ("b",)), Resume("", ("a", "b")), Resume("ab", ()), "", Resume("", ()), "\ud800"]
    assert len({text_key(text) for text in texts}) == len(texts)


def test_no_texts_on_disk(tiny, private_cache):
    secret = "confidential career of person 4711"
    SentenceEncoder(tiny).encode([secret, Resume(secret, ("1980: cook",))])
    files = [path for path in private_cache.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert not any(word.encode() in content for word in (*secret.split(), "cook", "1980", tiny))
        assert not any(word in str(path.relative_to(private_cache)) for word in secret.split())


@pytest.mark.parametrize("damage", ["cut", "zeros", "empty", "other", "pickle"])
def test_damaged_shard_is_passed_over(tmp_path, damage):
    store = VectorStore(tmp_path)
    fill(store, ["a", "b"])
    [damaged] = tmp_path.glob("*.npy")
    fill(store, ["c"])
    content = damaged.read_bytes()
    if damage == "other":
        np.save(damaged, np.zeros(3))
    elif damage == "pickle":
        np.save(damaged, np.array([{}], dtype=object), allow_pickle=True)
    else:
        damaged.write_bytes({"cut": content[:-5], "zeros": bytes(len(content)), "empty": b""}[damage])
    with pytest.warns(EconLLMWarning, match=f"shard {damaged.name}.*passed over"):
        found, _, _ = store.read(keys_of(["a", "c"]))
    assert found.tolist() == [1]


def test_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    store = VectorStore(tmp_path)
    monkeypatch.setattr("econllm.encoders.cache.os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        fill(store, ["a"])
    assert list(tmp_path.iterdir()) == []


def test_many_small_shards_are_joined(tmp_path):
    store = VectorStore(tmp_path)
    for i in range(100):
        fill(store, [i, "again"], value=i)
    assert len(list(tmp_path.glob("*"))) < 40
    found, vectors, _ = store.read(keys_of([*range(100), "again"]))
    assert found.tolist() == list(range(101))
    np.testing.assert_array_equal(vectors[:100, 0], np.arange(100))


def test_writers_at_the_same_time(tmp_path):
    def work(worker):
        store = VectorStore(tmp_path)
        for i in range(20):
            fill(store, [f"{worker}-{i}"])
            assert len(store.read(keys_of([f"{worker}-{i}"]))[0]) == 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    names = [f"{worker}-{i}" for worker in range(8) for i in range(20)]
    assert len(VectorStore(tmp_path).read(keys_of(names))[0]) == len(names)


def test_folder_of_the_cache(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache" / "embeddings"
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.delenv("ECONLLM_CACHE")
    assert cache_folder().parts[-2:] == (cache_folder().parent.name, "embeddings")
    assert "econllm" in str(cache_folder())
    assert cache_folder("~/x") == Path.home() / "x"


@pytest.mark.slow
def test_many_vectors_are_found_in_seconds(tmp_path):
    store = VectorStore(tmp_path)
    keys = keys_of(range(110_000))
    vectors = np.random.default_rng(0).normal(size=(len(keys), 384)).astype(np.float32)
    for start in range(0, len(keys), 5000):
        rows = slice(start, start + 5000)
        store.write(keys[rows], vectors[rows], np.zeros(len(keys[rows]), bool))
    start_time = time.perf_counter()
    found, read, _ = store.read(keys[::-1])
    assert time.perf_counter() - start_time < 5
    assert len(found) == len(keys)
    np.testing.assert_array_equal(read[::-1], vectors)

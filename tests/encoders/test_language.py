"""Loading of causal language models: in the number type asked for, whole, and never changed afterwards."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from econllm.encoders.language import context_of, load_language_model
from econllm.encoders.weights import find_model, is_causal
from econllm.errors import ModelNotFoundError, OptionError
from tests.encoders.conftest import make_encoder
from tests.llm.samples import CONTEXT, folder, network, save, tokenizer


@pytest.fixture(scope="module")
def place():
    return folder()


def load(model, dtype="float32"):
    return load_language_model(str(model), None, dtype, "cpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_weights_are_of_the_type_asked_for(place, dtype):
    found = load(place, dtype)
    assert found.dtype == dtype
    assert {values.dtype for values in found.network.parameters()} == {getattr(torch, dtype)}
    expected = network("llama", torch.float32).to(getattr(torch, dtype)).state_dict()
    assert all(torch.equal(values, expected[name]) for name, values in found.network.state_dict().items())


def test_it_is_ready_to_predict(place):
    found = load(place)
    assert not found.network.training
    assert found.context == CONTEXT
    assert found.opening.tolist() == [0]
    assert found.opening.dtype == np.int32
    assert found.files == find_model(place)
    assert found.files.commit is None


def test_it_is_read_once_and_again_when_the_files_change(place, tmp_path):
    assert load(place) is load(place)
    shutil.copytree(place, tmp_path / "copy")
    one = load(tmp_path / "copy")
    config = json.loads((tmp_path / "copy" / "config.json").read_text())
    (tmp_path / "copy" / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 99}))
    two = load(tmp_path / "copy")
    assert (one.context, two.context) == (CONTEXT, 99)
    assert one.files.fingerprint != two.files.fingerprint


def test_what_stands_in_front_is_what_the_tokenizer_puts_there():
    assert load(folder(kind="bare")).opening.tolist() == []


def test_other_kinds_of_models_are_refused(tmp_path):
    make_encoder(tmp_path)
    assert not is_causal(tmp_path)
    with pytest.raises(OptionError, match="'BertModel', no causal language model"):
        load(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config.pop("architectures")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(OptionError, match="'unknown', no causal language model"):
        load(tmp_path)


def test_gpt2_is_causal_by_its_older_name():
    assert json.loads((Path(folder("gpt2")) / "config.json").read_text())["architectures"] == ["GPT2LMHeadModel"]
    assert is_causal(Path(folder("gpt2")))


@pytest.mark.parametrize("absent", ["tokenizer.json", "model.safetensors"])
def test_missing_files_are_said_to_be_missing(place, tmp_path, absent):
    copy = tmp_path / "copy"
    shutil.copytree(place, copy)
    (copy / absent).unlink()
    with pytest.raises(ModelNotFoundError, match=r"cannot be read|no \*.safetensors"):
        load(copy)


def test_code_in_the_folder_of_a_model_is_not_run(place, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(place, copy)
    mark = tmp_path / "run"
    (copy / "custom.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    config = json.loads((copy / "config.json").read_text())
    auto = {"AutoConfig": "custom.Config", "AutoModelForCausalLM": "custom.Model"}
    (copy / "config.json").write_text(json.dumps({**config, "auto_map": auto}))
    load(copy)
    assert not mark.exists()


def test_names_of_the_longest_text():
    assert context_of(SimpleNamespace(n_positions=7)) == 7
    assert context_of(SimpleNamespace(seq_length=8, vocab_size=3)) == 8
    assert context_of(SimpleNamespace(max_position_embeddings=None, max_seq_len=9)) == 9
    assert context_of(SimpleNamespace()) == 10**9
    text = SimpleNamespace(max_position_embeddings=5)
    assert context_of(SimpleNamespace(get_text_config=lambda: text)) == 5


def test_nothing_is_said_or_shown(place, tmp_path, capfd):
    load(save(network("gpt2", torch.float32), tokenizer()))
    assert capfd.readouterr() == ("", "")

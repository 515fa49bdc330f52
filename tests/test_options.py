import numpy as np
import pytest

from econllm.errors import OptionError
from econllm.options import resolve_device, resolve_dtype, resolve_seed


def test_seeds_of_every_kind() -> None:
    assert resolve_seed(7).entropy == resolve_seed(np.int64(7)).entropy == 7
    sequence = np.random.SeedSequence(1).spawn(1)[0]
    assert resolve_seed(sequence) is sequence
    assert resolve_seed(None).entropy != resolve_seed(None).entropy


def test_a_generator_gives_the_same_seed_from_the_same_state_and_advances() -> None:
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    assert resolve_seed(first).entropy == resolve_seed(second).entropy
    assert resolve_seed(first).entropy != resolve_seed(np.random.default_rng(3)).entropy


@pytest.mark.parametrize("seed", [-1, True, 1.0, "0", [1]])
def test_what_is_no_seed(seed: object) -> None:
    with pytest.raises(OptionError, match="is not a seed: give a non-negative integer"):
        resolve_seed(seed)  # type: ignore[arg-type]


def test_devices() -> None:
    import torch

    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(OptionError, match="device='gpu' is not a device: use 'auto'"):
        resolve_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match=r"device='cuda' is not available on this machine; device='auto'"):
            resolve_device("cuda")


def test_dtypes() -> None:
    import torch

    cpu = torch.device("cpu")
    assert resolve_dtype("float64", cpu) is torch.float64
    assert resolve_dtype("auto", cpu) in {torch.float32, torch.bfloat16}
    with pytest.raises(OptionError, match=r"dtype='float16' is not an option.*Did you mean 'bfloat16'"):
        resolve_dtype("float16", cpu)


def test_auto_dtype_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    for native, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("econllm.options._cpu_has_bfloat16", lambda native=native: native)
        assert resolve_dtype("auto", torch.device("cpu")) is expected

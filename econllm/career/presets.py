"""Sizes and training that go together."""

from __future__ import annotations

from dataclasses import dataclass

from econllm.training import Training


@dataclass(frozen=True)
class Preset:
    """A network's sizes with the training that suits them.

    Attributes
    ----------
    layers, dim, heads, ffn : int
        Blocks, width, attention heads, width of the hidden layer.
    dropout : float
        Share of activations dropped in training.
    training : Training
        How it is trained.
    """

    layers: int
    dim: int
    heads: int
    ffn: int
    dropout: float
    training: Training


_PAPER = Training(epochs=20, learning_rate=5e-4, schedule="inverse_sqrt", betas=(0.9, 0.98), clip=None)
PRESETS = {
    "tiny": Preset(2, 32, 2, 128, 0.2, Training(epochs=30, batch=32, learning_rate=3e-3)),
    "quick": Preset(2, 64, 4, 256, 0.2, Training(epochs=8, learning_rate=3e-3)),
    "small": Preset(4, 64, 4, 256, 0.2, Training(epochs=16, learning_rate=2e-3)),
    "large": Preset(6, 256, 8, 1024, 0.1, Training(epochs=8, batch=256, learning_rate=1e-3)),
    "paper": Preset(12, 192, 3, 768, 0.1, _PAPER),
}
# Transitions below which a preset is the default choice; "large" beyond all of them.
_LIMITS = {"tiny": 20_000, "small": 2_000_000}


def preset_for(transitions: int) -> str:
    """Name of the preset for a sample of some size.

    Examples
    --------
    >>> preset_for(3_000), preset_for(110_000), preset_for(10**8)
    ('tiny', 'small', 'large')
    """
    for name, limit in _LIMITS.items():
        if transitions < limit:
            return name
    return "large"

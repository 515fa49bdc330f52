"""Stochastic training of networks: options, the loop, checkpoints, and what happened epoch by epoch."""

from econllm.training.batches import Seeds, seeds
from econllm.training.history import History
from econllm.training.loop import train
from econllm.training.options import Training

__all__ = ["History", "Seeds", "Training", "seeds", "train"]

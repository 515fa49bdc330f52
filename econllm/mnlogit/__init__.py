"""The multinomial logit."""

from econllm.mnlogit.model import MNLogit
from econllm.mnlogit.results import MNLogitResults

__all__ = ["MNLogit", "MNLogitResults"]

"""The multinomial logit."""

from econllm.mnlogit.function import mnlogit
from econllm.mnlogit.marginal import MarginalEffects
from econllm.mnlogit.model import MNLogit
from econllm.mnlogit.results import MNLogitResults
from econllm.mnlogit.two_stage import TwoStageMNLogitResults

__all__ = ["MNLogit", "MNLogitResults", "MarginalEffects", "TwoStageMNLogitResults", "mnlogit"]

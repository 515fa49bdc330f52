"""The multinomial logit."""

from econllm.multinomial.function import mnlogit
from econllm.multinomial.marginal import MarginalEffects
from econllm.multinomial.model import MNLogit
from econllm.multinomial.results import MNLogitResults
from econllm.multinomial.two_stage import TwoStageMNLogitResults

__all__ = ["MNLogit", "MNLogitResults", "MarginalEffects", "TwoStageMNLogitResults", "mnlogit"]

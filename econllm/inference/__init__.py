"""Tests and functions of coefficients, from the coefficients and their covariance alone."""

from econllm.inference.comparisons import HausmanTest, LRTest, hausman, likelihood_ratio
from econllm.inference.functions import FunctionEstimates, lincom, nlcom, relative_risk_ratios
from econllm.inference.hypotheses import parse_hypothesis
from econllm.inference.wald import WaldTest, joint_tests, wald_test

__all__ = [
    "FunctionEstimates",
    "HausmanTest",
    "LRTest",
    "WaldTest",
    "hausman",
    "joint_tests",
    "likelihood_ratio",
    "lincom",
    "nlcom",
    "parse_hypothesis",
    "relative_risk_ratios",
    "wald_test",
]

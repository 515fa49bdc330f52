"""CAREER: a two-stage transformer on coded careers. Importing the room does not import torch."""

from econllm.career.model import CAREER
from econllm.career.results import CAREERResults

__all__ = ["CAREER", "CAREERResults"]

"""Formulas: from text and data to named blocks of columns."""

from econllm.formula.design import Design, DesignSpec
from econllm.formula.encode import Block
from econllm.formula.parse import Parsed, parse

__all__ = ["Block", "Design", "DesignSpec", "Parsed", "parse"]

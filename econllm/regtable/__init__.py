"""Estimates side by side: from anything that offers tidy() and glance() to a table."""

from econllm.regtable.build import table
from econllm.regtable.facts import COMMON, TableFacts
from econllm.regtable.plugin import MaketablesPlugin

__all__ = ["COMMON", "MaketablesPlugin", "TableFacts", "table"]

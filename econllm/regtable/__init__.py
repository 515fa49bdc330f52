"""Estimates side by side: from anything that offers tidy() and glance() to a table."""

from econllm.regtable.build import table
from econllm.regtable.facts import COMMON, TableFacts
from econllm.regtable.plugin import MaketablesPlugin, MaketablesStatistics

__all__ = ["COMMON", "MaketablesPlugin", "MaketablesStatistics", "TableFacts", "table"]

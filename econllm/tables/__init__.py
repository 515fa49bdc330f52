"""Tables: what every summary and comparison returns; printed as text, LaTeX, HTML, Markdown or Word."""

from econllm.tables.content import Cell, Column, Fact, Panel, Row
from econllm.tables.exports import TableExports
from econllm.tables.formats import interval
from econllm.tables.table import Table

__all__ = ["Cell", "Column", "Fact", "Panel", "Row", "Table", "TableExports", "interval"]

"""Careers as text: résumés in full, and truncated before each occupation."""

from econllm.text.columns import Columns
from econllm.text.resume import Resume
from econllm.text.template import ResumeTemplate
from econllm.text.tokens import is_token_prefix

__all__ = ["Columns", "Resume", "ResumeTemplate", "is_token_prefix"]

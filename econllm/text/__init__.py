"""Careers as text: résumés in full, and truncated before each occupation."""

from econllm.text.resume import Resume
from econllm.text.template import Columns, ResumeTemplate
from econllm.text.tokens import is_token_prefix

__all__ = ["Columns", "Resume", "ResumeTemplate", "is_token_prefix"]

"""Fail unless the tests that compile LaTeX were run: python .ci/check_latex.py junit.xml."""

import sys
from xml.etree import ElementTree

cases = [case for case in ElementTree.parse(sys.argv[1]).iter("testcase") if "pdflatex" in case.get("classname", "")]
skipped = [case.get("name") for case in cases if case.find("skipped") is not None]
if not cases or skipped:
    sys.exit(f"LaTeX was not compiled: {len(cases)} tests found, skipped: {skipped}")
print(f"{len(cases)} LaTeX tests ran")  # noqa: T201

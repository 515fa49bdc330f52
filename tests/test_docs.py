"""Every python block of the README and the docs compiles, and runs unless it is marked otherwise."""

import ast
import inspect
import pydoc
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

import econllm as el
from econllm import plots

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "math").glob("*.md")])]
# An HTML comment on the line above a block says when it runs: "not run" never, "slow" with the slow tests only.
_BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    line: int
    code: str
    mark: str


def blocks(text):
    found = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        found.append(Block(line, match["code"], match["mark"] or ""))
    return found


def run(page, marks, folder, monkeypatch):
    """Run the blocks of a page as one script, in a folder of their own, with warnings as errors."""
    monkeypatch.chdir(folder)
    names = {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.mark in marks:
                # Empty lines in front make tracebacks show the line of the page.
                exec(compile("\n" * block.line + block.code, str(page), "exec"), names)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """One cache of vectors for all pages, away from the user's."""
    monkeypatch.setenv("ECONLLM_CACHE", str(tmp_path_factory.getbasetemp() / "econllm-cache"))


def name(page):
    return page.relative_to(ROOT).as_posix()


def test_blocks_are_found_with_their_marks():
    text = "a\n```python\nx = 1\n```\nb\n<!-- not run -->\n```python\ny = 2\n```\n```text\nz\n```\n"
    assert blocks(text) == [Block(2, "x = 1\n", ""), Block(7, "y = 2\n", "not run")]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_compile_and_have_known_marks(page):
    text = page.read_text(encoding="utf-8")
    found = blocks(text)
    assert len(found) == text.count("```python"), "a block is not closed, or is indented"
    assert {block.mark for block in found} <= {"", "not run", "slow"}
    for block in found:
        compile("\n" * block.line + block.code, str(page), "exec")


@pytest.mark.parametrize("page", [p for p in PAGES if any(not b.mark for b in blocks(p.read_text("utf-8")))], ids=name)
def test_blocks_run(page, tmp_path, monkeypatch, capsys):
    run(page, {""}, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.mark == "slow" for b in blocks(p.read_text("utf-8")))], ids=name
)
def test_slow_blocks_run(page, tmp_path, monkeypatch, capsys):
    run(page, {"", "slow"}, tmp_path, monkeypatch)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=name)
def test_links_to_files_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


def test_every_page_is_listed_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.name != "README.md"]
    assert [page for page in pages if f"]({page})" not in index] == ["index.md"]


def referenced():
    """What the reference lists, by name."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    names = re.findall(r"^(?:   |\.\. py:data:: )(econllm\.[\w.]+)$", text, flags=re.MULTILINE)
    assert len(names) == len(set(names))
    return {name: pydoc.locate(name) for name in names}


def test_every_name_of_the_reference_exists():
    assert [name for name, found in referenced().items() if found is None] == []


def test_every_public_name_is_in_the_reference():
    documented = {id(found) for found in referenced().values()}
    modules = {"datasets": el.datasets.__all__, "plots": plots.__all__, "errors": public_errors()}
    wanted = {f"econllm.{name}": getattr(el, name) for name in el.__all__ if name not in {*modules, "__version__"}}
    for module, names in modules.items():
        home = pydoc.locate(f"econllm.{module}")
        wanted |= {f"econllm.{module}.{name}": getattr(home, name) for name in names}
    assert sorted(name for name, found in wanted.items() if id(found) not in documented) == []


def public_errors():
    """Classes and functions that econllm.errors defines for others."""
    tree = ast.parse(inspect.getsource(el.errors))
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return [name for name in names if not name.startswith("_")]

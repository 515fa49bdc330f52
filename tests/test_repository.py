"""What the repository as a whole promises."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import econllm

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = sorted((ROOT / "econllm").rglob("*.py"))
IGNORED = {"__pycache__", "output", "build", "dist"}
# Spelled in two parts, so that this file does not find itself.
FORBIDDEN = [
    *(f"/{folder}/" for folder in ("work", "root", "Users")),
    *(f"/{folder}" + r"/\w" for folder in ("home", "opt")),
    *(host + r"\." + end for host, end in (("pypi", "org"), ("pythonhosted", "org"), ("download.pytorch", "org"))),
    *(f"{option}-{kind}" for option, kind in (("extra", "index-url"), ("find", "links"), ("--index", "url"))),
]


def is_ignored(parts):
    """Caches and environments; the only hidden folder with files of the project is .ci."""
    return bool(IGNORED & set(parts)) or any(
        part.startswith(".") and part not in {".ci", ".gitignore"} for part in parts
    )


def text_files():
    """Files that git tracks or would track; all files where there is no git, as in a source archive."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        files = [ROOT / line for line in listed]
    except (OSError, subprocess.CalledProcessError):
        files = []
    files = files or [path for path in ROOT.rglob("*") if not is_ignored(path.relative_to(ROOT).parts)]
    return [path for path in files if path.is_file() and b"\0" not in path.read_bytes()[:4096]]


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in pairs}


def requirements():
    extras = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for extra in extras.values() for text in extra)]
    found = [Requirement(text) for text in texts]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


def test_licence_is_bsd3():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "BSD-3-Clause"
    assert text.startswith("BSD 3-Clause License")
    assert "The econllm developers" in text
    assert len(re.findall(r"^[123]\. ", text, re.MULTILINE)) == 3


def test_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d[^\]]*)\]", changes, re.MULTILINE)
    assert f"\nversion: {econllm.__version__}\n" in citation
    assert newest is not None
    assert newest[1] == econllm.__version__


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_requirement_is_pinned_within_its_range(requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_constraints_pin_each_package_once_to_one_version():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*", line)] == []
    assert len(pins()) == len(lines)


def test_no_machine_paths_and_no_registry_hosts():
    pattern = re.compile("|".join(FORBIDDEN))
    found = []
    for path in text_files():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found


@pytest.mark.parametrize("line", ["see /wo" + "rk/x", "https://py" + "pi.org/simple", "pip --find" + "-links x"])
def test_the_search_for_paths_and_hosts_can_fail(line):
    assert re.search("|".join(FORBIDDEN), line)


def test_modules_are_short():
    sizes = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: size for path, size in sizes.items() if size > 500} == {}


def body_lines(function):
    """Lines from the signature to the end, the docstring not counted."""
    docstring = ast.get_docstring(function, clean=False) is not None
    first = function.body[0]
    return function.end_lineno - function.lineno + 1 - (first.end_lineno - first.lineno + 1 if docstring else 0)


def test_functions_are_short():
    long = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > 60:
                long[f"{path.relative_to(ROOT)}: {node.name}"] = body_lines(node)
    assert long == {}

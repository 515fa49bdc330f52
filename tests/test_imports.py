"""The order of the rooms, and what a bare import may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import econllm

ROOT = Path(econllm.__file__).parent

# From design.md: a module imports only from its own room and the rooms before it.
ROOMS = (
    "errors",
    "options",
    "files",
    "metrics",
    "resampling",
    "choices",
    "text",
    "description",
    "records",
    "panel",
    "plots",
    "tables",
    "inference",
    "encoders",
    "formula",
    "logit",
    "training",
    "sample",
    "base",
    "regtable",
    "ensemble",
    "empirical",
    "multinomial",
    "career",
    "llm",
    "evaluation",
    "datasets",
    "io",
)

# Module and what it may import in spite of the order, with the reason.
EXEMPT = {
    # save() belongs to every result; what it writes, load() in io.py must read.
    ("base.py", "econllm.io"),
    # The version of the package is written into what is saved.
    ("io.py", "econllm"),
}


def imported(path: Path) -> list[str]:
    """Every module of econllm that a module names in an import, inside functions and for type checking too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            # "from econllm import metrics" names a module by its alias.
            found += [f"econllm.{a.name}" for a in node.names] if node.module == "econllm" else [node.module or ""]
    return [name for name in found if name.split(".")[0] == "econllm"]


def modules() -> list[Path]:
    # econllm/__init__.py is exempt: it names everything, lazily.
    return [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


def room(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def test_every_module_has_a_room() -> None:
    assert {room(path) for path in modules()} <= set(ROOMS)
    assert len(ROOMS) == len(set(ROOMS))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_import_only_from_rooms_above(path: Path) -> None:
    here = ROOMS.index(room(path))
    for name in imported(path):
        if (str(path.relative_to(ROOT)), name) in EXEMPT:
            continue
        parts = name.split(".")
        assert len(parts) > 1, f"{path.name} imports the package itself; name the room"
        assert parts[1] in ROOMS, f"{path.name} imports {name}, which is no room"
        assert ROOMS.index(parts[1]) <= here, f"{path.name} imports {name}, which comes later in the order"


def test_the_reader_of_imports_sees_hidden_ones(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    lines = [
        "import econllm.io",
        "from econllm import metrics",
        "if TYPE_CHECKING:",
        "    from econllm.base import Results",
        "def f():",
        "    from econllm.llm.model import LLM",
        "    import numpy",
    ]
    path.write_text("\n".join(lines))
    assert sorted(imported(path)) == ["econllm.base", "econllm.io", "econllm.llm.model", "econllm.metrics"]


def test_modules_stay_short() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in modules()}
    assert {name: length for name, length in lengths.items() if length > 500} == {}


HEAVY = ("torch", "statsmodels", "matplotlib", "transformers", "linearmodels", "sentence_transformers", "pandas")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return done.stdout.strip()


def test_a_bare_import_loads_nothing_heavy() -> None:
    loaded = run(f"import sys, econllm; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert loaded == "[]"


def test_a_panel_and_a_formula_need_no_torch() -> None:
    code = "import sys, econllm, econllm.formula; econllm.CareerPanel; econllm.Table; "
    heavy = tuple(name for name in HEAVY if name != "pandas")
    assert run(f"{code}print([m for m in {heavy!r} if m in sys.modules])") == "[]"


def test_a_bare_import_takes_less_than_half_a_second() -> None:
    code = "import time; begin = time.perf_counter(); import econllm; print(time.perf_counter() - begin)"
    assert min(float(run(code)) for _ in range(3)) < 0.5

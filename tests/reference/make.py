"""Make the reference values: write the data for R, run the R scripts, store what they find.

Run ``python tests/reference/make.py`` for all scripts, or name some: ``python tests/reference/make.py nnet``.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from data import FRAMES, as_csv

HERE = Path(__file__).parent


def main(names: list[str]) -> None:
    scripts = [HERE / f"{name}.R" for name in names] or sorted(set(HERE.glob("*.R")) - {HERE / "common.R"})
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in FRAMES.items():
            (Path(folder) / f"{name}.csv").write_text(as_csv(frame()), encoding="utf-8", newline="\n")
        for script in scripts:
            out = script.with_suffix(".json")
            subprocess.run(["Rscript", "--vanilla", script.name, folder, out.name], cwd=HERE, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])

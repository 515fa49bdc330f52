"""Fail unless a wheel holds what it must and nothing else: python .ci/check_wheel.py econllm.whl."""

import sys
from zipfile import ZipFile

names = ZipFile(sys.argv[1]).namelist()
absent = {"econllm/py.typed", "econllm/datasets/data/occ1990dd.csv", "econllm/__init__.py"} - set(names)
absent |= set() if any(name.endswith("licenses/LICENSE") for name in names) else {"LICENSE"}
# The package and its metadata, and no tests, caches or outputs.
strange = [name for name in names if not name.startswith("econllm") or "test" in name or name.endswith(".pyc")]
if absent or strange:
    sys.exit(f"the wheel lacks {sorted(absent)} and should not hold {strange}")
print(f"{len(names)} files in the wheel")  # noqa: T201

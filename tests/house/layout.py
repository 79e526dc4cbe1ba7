"""
Where things stand in the source tree, for tests about the tree itself.

Not for tests of behaviour. Whoever changes this must know that the tests may run on an installed
package: what is looked at here is always the checkout beside these tests.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "webworker_executor"
TESTS = ROOT / "tests"
# What takes long to import, and a worker that is ready has not.
HEAVY = {
    "asyncio",
    "cloudpickle",
    "concurrent.futures",
    "dataclasses",
    "enum",
    "logging",
    "multiprocessing",
    "pickle",
    "re",
    "socket",
    "subprocess",
    "tblib",
    "traceback",
    "typing",
}


def modules_of(folder: Path) -> list[Path]:
    """
    List the Python files below a folder.

    Args:
        folder: Where to begin.

    Returns:
        Paths relative to the folder, in the order of their names.
    """
    return sorted(path.relative_to(folder) for path in folder.rglob("*.py"))

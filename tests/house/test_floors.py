"""
The checks on the floors can fail: each is shown a violation of its contract.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.house.layout import PACKAGE, ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("importlinter", reason="import-linter is in the extra 'test'")

LINT = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint_copy(folder: Path, **planted: str) -> subprocess.CompletedProcess[str]:
    """
    Check a copy of the package.

    Args:
        folder: Where to copy to.
        planted: Text for the end of modules, by their path without suffix, ``__`` for ``/``.
    """
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, text in planted.items():
        path = folder / PACKAGE.name / (name.replace("__", "/") + ".py")
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as module:
            module.write(f"\n{text}\n")
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_tree_is_clean(tmp_path: Path) -> None:
    """
    The package keeps both contracts.
    """
    done = lint_copy(tmp_path)
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("contract", "module", "text"),
    [
        ("Imports go down only", "wire__planted", "import webworker_executor.link"),
        ("Imports go down only", "errors", "def late():\n    import webworker_executor.pool"),
        ("Imports go down only", "wire__planted", "import webworker_executor.rules"),
        ("Imports go down only", "planted", "x = 1"),
        ("Form and decision stay pure", "wire__planted", "import socket"),
        ("Form and decision stay pure", "rules__planted", "from time import monotonic"),
        ("Form and decision stay pure", "rules__planted", "import _thread"),
    ],
    ids=["upwards", "upwards when called", "sideways", "no floor", "socket", "time", "_thread"],
)
def test_a_violation_is_found(tmp_path: Path, contract: str, module: str, text: str) -> None:
    """
    A planted import against a contract is reported under that contract's name.
    """
    done = lint_copy(tmp_path, **{module: text})
    assert 1 == done.returncode, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout

"""
A worker starts lean: importing the package loads nothing that a task might not need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

import webworker_executor
from tests.house.layout import PACKAGE

if TYPE_CHECKING:
    from tests.script import ScriptRunner

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

LIST_MODULES = """
import sys
import {module}
print(*sys.modules)
"""


@pytest.mark.parametrize("module", ["webworker_executor", "webworker_executor.child.entry"])
def test_imports_nothing_heavy(run_script: ScriptRunner, module: str) -> None:
    """
    A fresh interpreter that imports what a worker imports has loaded none of the heavy modules.
    """
    if not (PACKAGE.parent / (module.replace(".", "/") + ".py")).exists() and "." in module:
        pytest.skip(f"{module} does not exist yet")
    # Without site, whose .pth files may import anything: it is the package that is asked.
    done = run_script(LIST_MODULES.format(module=module), options=["-S"])
    assert "" == done.stderr
    assert 0 == done.returncode
    assert set() == HEAVY & set(done.stdout.split())


def test_every_public_name_is_there() -> None:
    """
    Each name in ``__all__`` can be had, and is listed by ``dir()``.
    """
    importlib.import_module("webworker_executor")
    missing = [name for name in webworker_executor.__all__ if not hasattr(webworker_executor, name)]
    assert [] == missing
    assert set(webworker_executor.__all__) <= set(dir(webworker_executor))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """
    The lazy root refuses what it does not have in the way every module does.
    """
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = webworker_executor.nonsense

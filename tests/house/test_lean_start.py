"""
A worker starts lean: importing the package loads nothing that a task might not need.
"""

from __future__ import annotations

import ast
import importlib
from typing import TYPE_CHECKING

import pytest

import webworker_executor
from tests.house.layout import HEAVY, PACKAGE

if TYPE_CHECKING:
    from tests.script import ScriptRunner

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
    # Without site, whose .pth files may import anything: it is the package that is asked.
    done = run_script(LIST_MODULES.format(module=module), options=["-S"])
    assert "" == done.stderr
    assert 0 == done.returncode
    assert set() == HEAVY & set(done.stdout.split())


# What a program that runs tasks may never need, by what it would cost.
NOT_FOR_EVERY_HOST = {
    "asyncio",
    "cloudpickle",
    "concurrent.futures.process",
    "dataclasses",
    "inspect",
    "multiprocessing",
    "subprocess",
    "tblib",
    "typing",
    "webworker_executor.errors",
    "webworker_executor.launch.fork",
    "webworker_executor.launch.zygote",
    "webworker_executor.link.exchange",
    "webworker_executor.pool.options",
    "webworker_executor.pool.stream",
    "webworker_executor.wire.assemble",
    "webworker_executor.wire.dissect",
    "webworker_executor.wire.failure",
}

HOST = """
import sys
from webworker_executor import WebWorkerExecutor

def task():
    return sorted(sys.modules)

if __name__ == "__main__":
    imported = set(sys.modules)
    with WebWorkerExecutor(1) as executor:
        in_worker = executor.submit(task).result(20)
    print(*imported)
    print(*sys.modules)
    print(*in_worker)
"""


def test_a_host_imports_what_it_needs(run_script: ScriptRunner) -> None:
    """
    A program that imports the executor, and even runs a function of its own, has loaded nothing for
    errors, options or other ways to start; nor has the worker.
    """
    done = run_script(HOST, options=["-S"])
    assert ("", 0) == (done.stderr, done.returncode)
    imported, after, in_worker = (set(line.split()) for line in done.stdout.splitlines())
    assert set() == NOT_FOR_EVERY_HOST & imported
    # The options of the interpreter, which this one was given, are handed on by `subprocess`.
    assert {"subprocess"} >= NOT_FOR_EVERY_HOST & after
    assert set() == HEAVY & in_worker


def test_every_public_name_is_there() -> None:
    """
    Each name in ``__all__`` can be had, and is listed by ``dir()``.
    """
    importlib.import_module("webworker_executor")
    names = vars(webworker_executor)["__all__"]
    assert [] == [name for name in names if not hasattr(webworker_executor, name)]
    assert set(names) <= set(dir(webworker_executor))


def test_type_checkers_find_the_same_names_in_the_same_modules() -> None:
    """
    What is bound on first use is imported for them, name by name.
    """
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    seen = {
        alias.name: str(node.module).partition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module != "__future__"
        for alias in node.names
        if alias.asname == alias.name
    }
    assert seen == webworker_executor._HOMES
    assert sorted(seen) == list(webworker_executor._HOMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """
    The lazy root refuses what it does not have in the way every module does.
    """
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = webworker_executor.nonsense

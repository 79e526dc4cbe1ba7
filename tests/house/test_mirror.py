"""
The tests mirror the package: who knows a module knows its test, and the other way round.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.layout import PACKAGE, TESTS, modules_of

UNTESTED = {
    "__init__.py": "the public names are asked for in house/test_lean_start.py",
    "conformance/__main__.py": "hands over to the command, whose test starts it",
    "conformance/calls.py": "is asked scenario by scenario in conformance/test_tool.py",
    "conformance/crashes.py": "is asked scenario by scenario in conformance/test_tool.py",
    "conformance/havoc.py": "is asked scenario by scenario in conformance/test_tool.py",
    "conformance/programs.py": "is asked scenario by scenario in conformance/test_tool.py",
    "conformance/tasks.py": "is what scenarios send, in conformance/test_tool.py",
    "conformance/values.py": "is asked scenario by scenario in conformance/test_tool.py",
}
# Folders of tests for promises that no single module keeps.
ACROSS = {"benchmarks", "conformance", "docs", "dropin", "ecosystem", "chaos", "fuzz", "house"}


def is_package_marker(module: Path) -> bool:
    return module.name == "__init__.py" and len(module.parts) > 1


def find_tests_of(module: Path) -> list[Path]:
    """
    Find the tests of a module: ``test_<module>.py``, or several ``test_<module>_<aspect>.py``.
    """
    folder = TESTS / module.parent
    return [*folder.glob(f"test_{module.stem}.py"), *folder.glob(f"test_{module.stem}_*.py")]


@pytest.mark.parametrize(
    "module",
    [m for m in modules_of(PACKAGE) if str(m) not in UNTESTED and not is_package_marker(m)],
    ids=str,
)
def test_every_module_has_its_test(module: Path) -> None:
    """
    A module ``x/y.py`` is tested by ``tests/x/test_y.py``.
    """
    assert find_tests_of(module), f"write tests/{module.with_name(f'test_{module.name}')}"


@pytest.mark.parametrize(
    "test",
    [
        test
        for test in modules_of(TESTS)
        if test.name.startswith("test_") and test.parts[0] not in ACROSS
    ],
    ids=str,
)
def test_every_test_has_its_module(test: Path) -> None:
    """
    A test ``tests/x/test_y.py`` belongs to a module ``x/y.py``.
    """
    words = test.stem.removeprefix("test_").split("_")
    names = ["_".join(words[:n_words]) for n_words in range(1, len(words) + 1)]
    owners = [name for name in names if (PACKAGE / test.parent / f"{name}.py").exists()]
    assert owners, f"tests/{test} belongs to no module; promises across modules: {sorted(ACROSS)}"


@pytest.mark.parametrize("folder", sorted({str(test.parent) for test in modules_of(TESTS)}))
def test_every_folder_of_tests_is_a_package(folder: str) -> None:
    """
    Test modules have full names, so that two may share a short one and a worker can import them.
    """
    assert (TESTS / folder / "__init__.py").exists()


def test_the_exemptions_are_needed() -> None:
    """
    The table of exemptions names only modules that exist and have no test.
    """
    assert [] == [name for name in UNTESTED if not (PACKAGE / name).exists()]
    assert [] == [name for name in UNTESTED if find_tests_of(Path(name))]

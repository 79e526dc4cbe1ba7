"""
What is installed is what is in the checkout.
"""

from __future__ import annotations

import re
from importlib import metadata

import pytest

import webworker_executor
from tests.house.layout import PACKAGE, ROOT


@pytest.fixture
def distribution() -> metadata.Distribution:
    """
    Find the installed distribution, unless it only points to the checkout.
    """
    try:
        found = metadata.distribution("webworker-executor")
    except metadata.PackageNotFoundError:
        pytest.skip("not installed")
    if any(path.suffix == ".pth" for path in found.files or ()):
        pytest.skip("installed as a pointer to the checkout")
    return found


def test_ships_every_module(distribution: metadata.Distribution) -> None:
    """
    The wheel holds each file of the package, the marker for type checkers and the Node worker too.
    """
    shipped = {str(path) for path in distribution.files or ()}
    expected = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert set() == expected - shipped
    assert f"{PACKAGE.name}/py.typed" in shipped


def test_needs_two_dependencies(distribution: metadata.Distribution) -> None:
    """
    The core depends on cloudpickle and tblib, and on nothing else.
    """
    required = [name for name in distribution.requires or () if "extra ==" not in name]
    assert ["cloudpickle", "tblib"] == sorted(re.split("[<>]", name)[0] for name in required)


def test_says_its_version(distribution: metadata.Distribution) -> None:
    """
    The version in the source is the version of the distribution.
    """
    assert distribution.version == webworker_executor.__version__

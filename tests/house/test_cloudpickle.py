"""
What the package takes from cloudpickle, and that has no public name, is there.
"""

from __future__ import annotations

import re

import pytest
from cloudpickle import cloudpickle

from tests.house.layout import PACKAGE, modules_of

# An attribute of `internals`, or what a module that may not be there yet is asked for by name.
USE = re.compile(r'\binternals\.(_\w+)|cloudpickle(?:\(\)|")?,(?: "",)? "(_\w+)"')
USED = {
    name: str(module)
    for module in modules_of(PACKAGE)
    for groups in USE.findall((PACKAGE / module).read_text())
    for name in groups
    if name
}


@pytest.mark.parametrize("name", sorted(USED))
def test_every_private_name_of_cloudpickle_is_there(name: str) -> None:
    """
    Some are asked for with a default, and nobody would notice that one of these is gone.
    """
    assert hasattr(cloudpickle, name), f"{USED[name]} uses it"


def test_no_use_of_cloudpickle_is_overlooked() -> None:
    """
    Each module that has the inner module of it in hand is found to use something.
    """
    inner = re.compile(r'"cloudpickle\.cloudpickle"|cloudpickle as internals')
    users = [each for each in modules_of(PACKAGE) if inner.search((PACKAGE / each).read_text())]
    assert sorted(map(str, users)) == sorted(set(USED.values()))

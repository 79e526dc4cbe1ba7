"""Lets scenarios' programs import the tests' own executors."""

from __future__ import annotations

import pytest

from tests.house.layout import ROOT


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name the module of bad executors, which is on the programs' path."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return "tests.conformance.planted"

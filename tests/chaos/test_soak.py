"""
Tests of the soak: that it looks, and sees.
"""

from __future__ import annotations

import os
import re

import pytest

from tests.chaos import soak


@pytest.mark.slow
def test_a_short_one(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Every future is resolved once, and nothing is left.
    """
    soak.soak(3.0, 1)
    told = capsys.readouterr().out
    watched = re.search(r"(\d+) futures were watched", told)
    assert watched is not None
    assert int(watched[1]) > 0


def test_what_it_sees() -> None:
    """
    A descriptor more is seen.
    """
    before = soak.Holding.now()
    reader, writer = os.pipe()
    try:
        assert before.n_descriptors + 2 == soak.Holding.now().n_descriptors
    finally:
        os.close(reader)
        os.close(writer)

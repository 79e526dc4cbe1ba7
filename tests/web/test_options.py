"""
Tests of `webworker_executor.web.options`: what follows from the options of a worker.

What is refused is asked for in ``test_worker``.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

import pytest

from webworker_executor.web.options import Options, _raw_command, _seconds


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({"command": ["a", "b"], "argv": ["c"]}, ["a", "b", "c"]),
        ({"script": "/w.py", "codec": "raw", "argv": ["c"]}, ("/w.py", "c")),
        ({"module": "m", "codec": "raw"}, ("-m", "m")),
        ({"module": "m", "codec": "json"}, ("-m", "m")),
        ({"script": "/w.py"}, None),
        ({"source": "", "codec": "pickle"}, None),
    ],
)
def test_commands_of_the_raw_profile(given: dict[str, Any], command: object) -> None:
    """
    A command is whole; what needs an interpreter in front is a tuple.
    """
    options: dict[str, Any] = dict.fromkeys(field.name for field in fields(Options))
    assert command == _raw_command(Options(**{**options, "argv": (), **given}))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 0.0), (0, 0.0), (1, 1.0), (0.5, 0.5), (float("inf"), 0.0), (sys.maxsize, 2.0**63)],
)
def test_times(value: float | None, seconds: float) -> None:
    """
    Without end is 0, which means that there is none.
    """
    assert seconds == _seconds("handshake_timeout", value)

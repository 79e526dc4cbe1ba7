"""
Nobody has to know what -9 means.
"""

from __future__ import annotations

import pytest

from webworker_executor.launch.exit_status import how_it_ended, signal_name


@pytest.mark.parametrize(
    ("exitcode", "text", "name"),
    [
        (0, "exited with status 0", None),
        (3, "exited with status 3", None),
        (-9, "was killed by SIGKILL", "SIGKILL"),
        (-11, "was killed by SIGSEGV", "SIGSEGV"),
        (-63, "was killed by signal 63", "signal 63"),
        (None, "ended, with a status that somebody else collected,", None),
    ],
)
def test_exit_statuses(exitcode: int | None, text: str, name: str | None) -> None:
    """
    A status below zero is a signal, and one that is not known is told as such.
    """
    assert text == how_it_ended(exitcode)
    assert name == signal_name(exitcode)

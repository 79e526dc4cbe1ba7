"""
How a process ended, in words: nobody has to know what -9 means.
"""

from __future__ import annotations

import signal


def signal_name(exitcode: int | None) -> str | None:
    """Return the name of the signal that an exit status of ``-n`` stands for, or ``None``."""
    if exitcode is None or exitcode >= 0:
        return None
    try:
        return signal.Signals(-exitcode).name
    except ValueError:
        return f"signal {-exitcode}"


def how_it_ended(exitcode: int | None) -> str:
    """Say an exit status in words; ``None`` is one that is not known."""
    if exitcode is None:
        return "ended, with a status that somebody else collected,"
    name = signal_name(exitcode)
    return f"was killed by {name}" if name else f"exited with status {exitcode}"

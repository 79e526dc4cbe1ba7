"""
The witness's end in a worker: ``faulthandler`` writes the stacks of all threads into its pipe.

Imported by workers at their start, so it imports the least: ``faulthandler`` is built in.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import faulthandler


def testify(fd: int) -> None:
    """
    Write the stacks whenever the host asks for them, and when the process dies of a fault.

    A program that has enabled ``faulthandler`` for itself goes on to find the latter where it
    looks for it.

    Args:
        fd: The pipe; stays open as long as the process lives.

    Source: faulthandler, ``register`` and ``enable``.
    """
    faulthandler.register(_signal.SIGURG, fd, all_threads=True, chain=False)
    if not faulthandler.is_enabled():
        faulthandler.enable(fd, all_threads=True)

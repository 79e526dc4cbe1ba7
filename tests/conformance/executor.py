"""
The executor that CPython's own tests are run with.

It is ours with the standard library's rule for crashes, and with a stand-in for the one private
part of the stdlib's that those tests join at their end. Not for any other test.

Whoever changes it must know that programs started by CPython's tests import this module by name in
a fresh interpreter, so it may import nothing of a test runner.
"""

from __future__ import annotations

from typing import Any

from webworker_executor import WebWorkerExecutor


class _CallQueue:
    """Stands for the stdlib's queue with its feeder thread; there is none to join."""

    def join_thread(self) -> None:
        return


class BreakingExecutor(WebWorkerExecutor):
    """A pool that is broken by the first crash, as the stdlib's is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, on_crash="break", **kwargs)

    @property
    def _call_queue(self) -> _CallQueue:
        return _CallQueue()


class ProcessPoolExecutor(BreakingExecutor):
    """
    What CPython's tests find under the name `concurrent.futures.ProcessPoolExecutor`.

    A class of its own because one test skips itself where the executor under test *is* that class.
    """

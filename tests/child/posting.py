"""
Tasks that post more than their reader has room for, and rest until it is read.

A module of its own, so that a worker loads little.
"""

from __future__ import annotations

import os

from webworker_executor import current_task, scope

# More than lies with a reader uncounted; less than a socket and an hour of patience hold.
N_BLOCKS = 64
BLOCK = bytes(1 << 16)


def post_and_drain(timeout: float | None = None) -> int:
    """Post all, rest until the reader has it, and return what was waiting before."""
    task = current_task()
    for _ in range(N_BLOCKS):
        task.post_message(BLOCK)
    amount = task.buffered_amount
    task.post_message("posted")
    task.drain(timeout)
    return amount


def post_and_drain_scope() -> int:
    """Do the same on the worker's own channel."""
    for _ in range(N_BLOCKS):
        scope.post_message(BLOCK)
    amount = scope.buffered_amount
    scope.drain()
    return amount


def post_and_drain_nothing() -> int:
    """Rest for nothing, and return the worker's pid."""
    current_task().drain()
    return os.getpid()

"""
Tasks that post more than their reader has room for, and rest until it is read.

A module of its own, so that a worker loads little.
"""

from __future__ import annotations

import os

from webworker_executor import current_task, scope

# More than lies with a reader uncounted; less than a socket and an hour of patience hold.
N_BLOCKS = 64
N_LARGE = 8
BLOCK = bytes(1 << 16)
LIMIT = 20.0


def post_and_drain(timeout: float | None = None) -> int:
    """Post all, rest until the reader has it, and return what was waiting before."""
    task = current_task()
    for _ in range(N_BLOCKS):
        task.post_message(BLOCK)
    amount = task.buffered_amount
    task.post_message("posted")
    task.drain(timeout)
    return amount


def post_large_and_drain(nbytes: int) -> int:
    """Do the same with messages that go in shared memory."""
    task = current_task()
    for _ in range(N_LARGE):
        task.post_message(bytes(nbytes))
    amount = task.buffered_amount
    task.post_message("posted")
    task.drain()
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


def post_broken_off() -> int:
    """
    Break off a post at one place after the other, rest until the reader has what went, and return
    how many places there were.
    """
    from tests.link.interrupts import broken_off

    # In the message itself, unlike large bytes, and so a registered one.
    task, text = current_task(), "x" * (8 * len(BLOCK))
    n_places = sum(1 for _ in broken_off(lambda: task.post_message(text)))
    task.drain(LIMIT)
    return n_places

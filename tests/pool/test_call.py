"""
A call is packed when it is made.
"""

from __future__ import annotations

import pytest

from tests.pool.work import Unpackable, add, double
from webworker_executor import WorkerFuture
from webworker_executor.pool.call import Call


def test_a_call_is_packed_at_once() -> None:
    """
    What is changed after the call does not change the task.
    """
    numbers = [1]
    call = Call(1).pack(double, (numbers,), {})
    before = b"".join(call.parts)
    numbers.append(2)
    assert before == b"".join(call.parts)
    assert isinstance(call.future, WorkerFuture)
    assert not call.is_posted


def test_packing_errors_come_out_of_the_call() -> None:
    """
    Whoever makes the call decides what to do with them.
    """
    with pytest.raises(ValueError, match="not to be packed"):
        Call(1).pack(double, (Unpackable(),), {})


def test_a_function_is_defined_once() -> None:
    """
    Two calls of one function name the same definition.
    """
    first, second = Call(1).pack(add, (1, 2), {}), Call(2).pack(add, (3, 4), {})
    assert first.definition is not None
    assert second.definition is not None
    assert first.definition.ident == second.definition.ident

"""
Errors call a task by what the user gave, from its very beginning: its worker may die at once.
"""

from __future__ import annotations

import collections
import functools
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.pool.large import block
from tests.pool.work import add, double
from webworker_executor.link.memory import store
from webworker_executor.pool.call import Call
from webworker_executor.pool.chunk import run_all, run_chunk
from webworker_executor.pool.inside import call_actor, make_actor, run_stream
from webworker_executor.pool.title import name_of
from webworker_executor.wire.definition import fix

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor import WebWorkerExecutor


class Nameless:
    """
    A callable without a name of its own.
    """

    def __call__(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("name", "fn"),
    [
        ("tests.pool.work.add", add),
        ("partial", functools.partial(add, 1)),
        ("Nameless", Nameless()),
        ("posix.getpid", os.getpid),
    ],
)
def test_errors_name_the_callable(name: str, fn: Callable[..., Any]) -> None:
    """
    As module and qualified name, or by its class; also when it is not sent once.
    """
    assert name == name_of(fn)
    assert name == Call(1).pack(fn, (), {}).fn_name


@pytest.mark.parametrize(
    ("name", "fn", "args"),
    [
        ("tests.pool.work.double", run_chunk, (double, (1, 2))),
        ("tests.pool.work.double", run_all, (double, (1, 2))),
        ("tests.pool.work.double", run_stream, (double, (1,), {}, 16)),
        ("collections.Counter", make_actor, ("key", collections.Counter, (), {})),
        ("Counter.update", call_actor, ("key", "Counter.update", (), {})),
    ],
)
def test_what_the_pool_calls_stands_for_what_was_given(
    name: str, fn: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    """
    A chunk, a stream, an actor and its methods.
    """
    assert name == Call(1).pack(fn, args, {}).fn_name


@pytest.mark.parametrize("fn", [run_chunk, run_all])
def test_the_calls_of_a_chunk_are_counted(fn: Callable[..., Any], pool: WebWorkerExecutor) -> None:
    """
    Also where something stands around it; any other is one call.
    """
    assert 3 == Call(1).pack(fn, (double, (1, 2, 3)), {}).n_calls
    view = pool.options(retries=1, retry_on=ValueError)
    call = view._call()
    view._pack(call, fn, (double, (1, 2, 3)), {})
    assert 3 == call.n_calls
    assert 1 == Call(1).pack(sum, ((1, 2, 3),), {}).n_calls


def test_a_map_of_a_large_callable_is_called_by_it() -> None:
    """
    What is packed once for all chunks stands for what was given, too.
    """
    held = block(1)

    def large(value: int) -> int:
        return value + id(held)

    fixed = fix(large, functools.partial(run_all, large), store.shelve)
    assert fixed is not None
    call = Call(1).pack(fixed, ((1, 2),), {})
    assert (name_of(large), 2) == (call.fn_name, call.n_calls)


def test_a_retried_call_is_called_by_what_is_retried(pool: WebWorkerExecutor) -> None:
    """
    Also when that stands for something else, as a stream does.
    """
    view = pool.options(retries=1, retry_on=ValueError)
    call = view._call()
    view._pack(call, run_stream, (double, (1,), {}, 16), {})
    assert "tests.pool.work.double" == call.fn_name

"""
A callable that means the same at every call is sent once.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
import types
from typing import Any

import pytest

from tests.wire.other_process import OtherProcess
from webworker_executor.wire import codec, definition
from webworker_executor.wire.kinds import PART, PART_PREFIX

SOURCE = """
number = 1
table = {}
def plain(a=0): return a
def reads_number(): return number
def reads_table(): return table
named = lambda: 0
"""


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Any:
    """
    Put a module in the place of `__main__`.
    """
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    exec(SOURCE, module.__dict__)
    return module


class Odd:
    __name__ = "odd"  # pytest asks for it
    __hash__: Any = None

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError

    def __call__(self) -> str:
        return "odd"


def add(a: int, b: int = 0) -> int:
    return a + b


@pytest.mark.parametrize("fn", [add, len, math.sqrt, int, functools.partial, threading.Thread])
def test_importable_callables_have_one_definition(fn: Any) -> None:
    """
    What can be imported is defined once, by name.
    """
    defined = definition.define(fn)
    assert defined is not None
    assert defined is definition.define(fn)
    assert fn is codec.unpack(defined.payload)
    assert defined.ident >= 1
    assert f"<Definition #{defined.ident} " in repr(defined)


@pytest.mark.parametrize(
    "fn", [functools.partial(add, 1), [].append, "".join, lambda: 0, Odd(), Odd, 5, None]
)
def test_whatever_holds_a_state_has_none(fn: Any) -> None:
    """
    Partials, methods, instances, new lambdas travel inside the call; nothing raises.
    """
    defined = definition.define(fn)
    assert defined is None or fn is Odd


def test_idents_differ() -> None:
    """
    Two callables never share a number.
    """
    first, second = definition.define(len), definition.define(abs)
    assert first is not None
    assert second is not None
    assert first.ident != second.ident


def test_functions_of_main_are_defined_while_unchanged(main: Any) -> None:
    """
    A function of `__main__` keeps its definition until something that it refers to changes.
    """
    first = definition.define(main.reads_number)
    assert first is not None
    assert first is definition.define(main.reads_number)
    main.number = 2
    second = definition.define(main.reads_number)
    assert second is not None
    assert first.ident != second.ident


def test_a_lambda_in_a_global_is_defined(main: Any) -> None:
    """
    A lambda that `__main__` has under a name is as good as a function.
    """
    assert definition.define(main.named) is definition.define(main.named) is not None


def test_a_mutable_global_must_travel(main: Any) -> None:
    """
    A function that reads a dictionary is sent with each call.
    """
    assert definition.define(main.reads_table) is None


def test_a_function_that_keeps_changing_is_given_up(main: Any) -> None:
    """
    A global that counts the calls does not fill the worker with definitions.
    """
    defined = []
    for number in range(20):
        main.number = number
        defined.append(definition.define(main.reads_number))
    assert 9 == len([each for each in defined if each is not None])
    assert defined[-1] is None


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "shape"),
    [
        (add, (), {}, definition.NO_ARGUMENTS),
        (add, (1, 2), {}, definition.ARGUMENTS),
        (add, (1,), {"b": 2}, definition.FULL),
        (functools.partial(add, 1), (2,), {}, definition.FULL),
        (Odd(), (), {}, definition.FULL),
        (lambda: 0, (), {}, definition.FULL),
    ],
)
def test_calls_have_the_smallest_shape(fn: Any, args: Any, kwargs: Any, shape: int) -> None:
    """
    A call holds only what its definition and shape do not tell, and unpacks to the same call.
    """
    defined, actual, packed = definition.pack_call(fn, args, kwargs)
    assert shape == actual
    assert (shape == definition.NO_ARGUMENTS) == (packed.payload == b"")
    known: Any = None if defined is None else codec.unpack(defined.payload)
    unpacked = definition.unpack_call(shape, packed.payload, packed.buffers, known)
    assert (args, kwargs, None) == unpacked[1:]
    assert (fn is unpacked[0]) == (defined is not None)
    assert callable(unpacked[0])


def test_large_arguments_go_apart() -> None:
    """
    The buffers of a call's arguments are beside its payload.
    """
    *_, packed = definition.pack_call(len, (pickle_buffer(),), {})
    assert [codec.OUT_OF_BAND] == [len(buffer) for buffer in packed.buffers]


def pickle_buffer() -> Any:
    from array import array
    from pickle import PickleBuffer

    return PickleBuffer(array("B", bytes(codec.OUT_OF_BAND)))


def test_arguments_that_do_not_pickle_raise() -> None:
    """
    Packing a call raises what the stdlib raises for the argument.
    """
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        definition.pack_call(add, (threading.Lock(),), {})


def test_a_call_without_its_callable_is_our_bug() -> None:
    """
    A definition that never came is named as such.
    """
    with pytest.raises(LookupError, match="without its callable"):
        definition.unpack_call(definition.NO_ARGUMENTS, b"", (), None)


@pytest.mark.slow
def test_a_definition_is_sent_once() -> None:
    """
    The second call of a function sends its number only.
    """
    with OtherProcess() as other:
        assert [3, 3, 5] == [other(add, 1, 2), other(add, 1, b=2), other(add, 5)]
        assert 1 == other.n_definitions


@pytest.mark.parametrize("keywords", [{}, {"start": 10}])
def test_a_part_of_a_call_has_some_of_its_last_argument(keywords: dict[str, int]) -> None:
    """
    Of what was packed, without packing anything anew.
    """
    defined, shape, packed = definition.pack_call(sum, ((1, 2, 3, 4),), keywords)
    assert defined is not None
    prefix = PART_PREFIX.pack(1, 3)
    fn, args, kwargs, _ = definition.unpack_call(
        shape | PART, prefix + bytes(packed.payload), packed.buffers, sum
    )
    assert (sum, ((2, 3),), keywords) == (fn, tuple(args), kwargs)

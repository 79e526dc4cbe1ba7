"""
Values become bytes and values again, with large buffers apart.
"""

from __future__ import annotations

import collections
import importlib
import pickle
import sys
import threading
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.wire import codec

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner

atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.frozensets(st.text() | st.integers())
    ),
    max_leaves=20,
)
sizes = st.sampled_from([0, 1, codec.OUT_OF_BAND - 1, codec.OUT_OF_BAND, codec.OUT_OF_BAND + 1])


class Block(bytearray):
    """
    Offers its memory to the pickler, as an array does.
    """

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Block, (PickleBuffer(self),)


def unpacked(value: object) -> object:
    packed = codec.pack(value)
    return codec.unpack(packed.payload, packed.buffers)


@given(values)
def test_values_make_the_round_trip(value: object) -> None:
    """
    Any nest of builtin values comes back equal, by both picklers.
    """
    assert value == unpacked(value)
    packed = codec.pack_by_value(value)
    assert value == codec.unpack(packed.payload, packed.buffers)


@given(values | st.dictionaries(st.text() | st.integers(), atoms))
def test_what_is_packed_plainly_is_as_any_other(value: object) -> None:
    """It is what the pickler makes of it; what may hold more is left to others."""
    payload = codec.pack_plain(value)
    if payload is None:
        assert type(value) not in {type(None), bool, int, float, complex, str}
    else:
        assert payload == codec.pack(value).payload == pickle.dumps(value, 5)
        assert value == codec.unpack(payload)


@pytest.mark.parametrize(
    "value", [{"a": object}, {len: 1}, {"a": [1]}, dict.fromkeys(range(100)), collections.Counter()]
)
def test_what_may_hold_more_is_not_packed_plainly(value: object) -> None:
    """A class, a function, a container, many items, a class of its own: somebody else looks."""
    assert codec.pack_plain(value) is None
    assert value == unpacked(value)


@given(st.lists(sizes, max_size=4))
def test_buffers_of_the_limit_and_above_go_apart(sizes: list[int]) -> None:
    """
    A buffer stays in the pickle below the limit and leaves it from there on, in order.
    """
    blocks = [Block(bytes([number]) * nbytes) for number, nbytes in enumerate(sizes, 1)]
    for pack in (codec.pack, codec.pack_by_value):
        packed = pack(blocks)
        large = [bytes(block) for block in blocks if len(block) >= codec.OUT_OF_BAND]
        assert large == packed.buffers
        assert len(packed.payload) < sum(sizes) - sum(map(len, large)) + 1000
        assert blocks == codec.unpack(packed.payload, packed.buffers)


def test_buffers_are_snapshots() -> None:
    """
    What is changed after packing is not changed in the packed value.
    """
    block = Block(bytes(codec.OUT_OF_BAND))
    packed = codec.pack(block)
    block[0] = 1
    assert bytes(codec.OUT_OF_BAND) == packed.buffers[0]
    assert f"<Packed {len(packed.payload)} B + 1 buffers of 131072 B>" == repr(packed)


def test_a_buffer_with_gaps_is_refused_as_by_pickle() -> None:
    """
    Memory that is not contiguous raises what `pickle` raises.
    """
    gaps = PickleBuffer(memoryview(bytes(400_000))[::2])
    with pytest.raises(pickle.PicklingError, match="non-contiguous"):
        codec.pack(gaps)


@pytest.mark.parametrize("value", [threading.Lock(), sys._getframe(), (i for i in "")])
def test_what_cannot_be_pickled_raises_as_in_the_stdlib(value: object) -> None:
    """
    The error for a lock, a frame, a generator has the stdlib's type and text.
    """
    with pytest.raises(TypeError) as expected:
        pickle.dumps(value)
    with pytest.raises(TypeError) as actual:
        codec.pack([value])
    assert str(expected.value) == str(actual.value)


def test_the_error_names_what_stands_in_the_way() -> None:
    """
    A lambda is no obstacle, so the error is about the lock beside it.
    """
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        codec.pack((lambda: 0, threading.Lock()))


class Raises:
    def __reduce__(self) -> Any:
        raise ValueError("the user's own")


def test_a_hooks_error_comes_through() -> None:
    """
    What a `__reduce__` raises is raised, with its type and text.
    """
    with pytest.raises(ValueError, match=r"^the user's own$"):
        codec.pack(Raises())


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    """
    A value that is nested too deep raises RecursionError, as in the stdlib.
    """
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(RecursionError):
        codec.pack(nested)
    while nested:
        nested = nested.pop()


def test_lambdas_and_local_classes_go_by_value() -> None:
    """
    What has no name that could be imported makes the round trip nevertheless.
    """

    class Local:
        attribute = 3

    packed = codec.pack((lambda n: n + 1, Local))
    unpacked: Any = codec.unpack(packed.payload)
    increment, cls = unpacked
    assert 2 == increment(1)
    assert cls is Local


def test_importing_it_is_cheap(run_script: ScriptRunner) -> None:
    """
    Packing and unpacking plain values and calls loads no pickle, no cloudpickle, no typing.
    """
    program = """
import sys
from webworker_executor.wire import codec, definition
codec.unpack(codec.pack([1]).payload)
definition.pack_call(len, ("a",), {})
heavy = "cloudpickle pickle typing re enum dataclasses logging contextvars uuid weakref socket"
print(sorted(set(heavy.split()) & set(sys.modules)))
"""
    done = run_script(program, options=["-S"])
    assert ("[]\n", "") == (done.stdout, done.stderr)


FORK = """
import os, sys
from webworker_executor.wire import codec, definition

state = None
def get_state(): return state
def helper(): return 1
{before}
packed = codec.pack_by_value(get_state).payload
other = codec.pack_by_value(helper).payload
pid = os.fork()
if pid == 0:
    {forget}
    codec.after_fork()
    state = "set after the fork"
    assert codec.unpack(packed)() == "set after the fork"
    assert codec.unpack(other)() == 1
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("has_sent", [True, False])
def test_a_fork_has_the_hosts_globals(run_script: ScriptRunner, has_sent: bool) -> None:
    """
    In a forked worker what the host sends of `__main__` finds the globals that are there.
    """
    forget = (
        "pass"
        if has_sent
        else "[sys.modules.pop(name) for name in list(sys.modules) if 'wire.' in name"
        " and not name.endswith(('codec', 'wire.variable', 'by_name'))]"
    )
    done = run_script(FORK.format(before="", forget=forget))
    assert ("0\n", "") == (done.stdout, done.stderr)


SUBMITTED = """
from functools import partial
from webworker_executor.wire import codec

def double(number): return 2 * number

class Sized:
    def __len__(self): return 3

PACKED = [codec.pack(value) for value in ((double,), (partial(double, 1),), [Sized()])]
"""


def test_what_is_given_in_a_module_that_is_being_imported_goes_by_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Also as an argument: who unpacks it does not import the module, which would be doing the same.
    """
    (tmp_path / "submits_at_import.py").write_text(SUBMITTED)
    monkeypatch.syspath_prepend(tmp_path)
    # What is noted in the worker, about its host.
    monkeypatch.setattr(codec, "half_imported", set())
    packed = importlib.import_module("submits_at_import").PACKED
    del sys.modules["submits_at_import"]
    unpacked: Any = [codec.unpack(each.payload, each.buffers) for each in packed]
    assert "submits_at_import" not in sys.modules
    (fn,), (bound,), (sized,) = unpacked
    assert (4, 2, 3) == (fn(2), bound(), len(sized))

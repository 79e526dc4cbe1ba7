"""
Tests of `webworker_executor.wire.failure`: every exception arrives, as itself wherever possible.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import traceback
from concurrent.futures.process import _RemoteTraceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire import broken
from tests.wire.crossing import cross, names, raised
from webworker_executor.wire.failure import LeftBehind, RemoteError, pack_failure, unpack_failure


def outer() -> None:
    inner()


def inner() -> None:
    raise ValueError("deep")


def test_real_frames_arrive() -> None:
    """
    `__traceback__` holds the worker's frames with file, function, line and columns.
    """
    with pytest.raises(ValueError, match="deep") as info:
        outer()
    arrived = cross(info.value)
    assert ["test_real_frames_arrive", "outer", "inner"] == names(arrived.__traceback__)
    assert traceback.format_tb(info.tb) == traceback.format_tb(arrived.__traceback__)


def test_skipped_frames_are_left_out() -> None:
    """
    The frames of the worker's own loop are in neither the traceback nor the text.
    """
    with pytest.raises(ValueError, match="deep") as info:
        outer()
    arrived = cross(info.value, skip=2)
    assert ["inner"] == names(arrived.__traceback__)
    assert "outer" not in str(arrived.__cause__)
    assert arrived.__traceback__ is not None


def test_skipping_all_frames_leaves_none() -> None:
    """
    An exception raised by the worker's loop itself has no traceback of the user's.
    """
    assert cross(ValueError("x"), skip=9).__traceback__ is None


def test_text_is_the_cause_as_in_the_standard_library() -> None:
    """
    Without a cause of its own, `__cause__` is the standard library's text in its own class.
    """
    exc = raised(ValueError("x"))
    text = "".join(traceback.format_exception(exc))
    arrived = unpack_failure(pack_failure(exc))
    assert _RemoteTraceback is type(arrived.__cause__)
    assert f'\n"""\n{text}"""' == str(arrived.__cause__)


def test_text_stands_behind_the_causes() -> None:
    """
    A cause arrives as the object it is, with its frames; the text comes after it.
    """
    arrived = cross(raised(ValueError("x"), raised(KeyError("k"))))
    assert KeyError is type(arrived.__cause__)
    assert ["raised"] == names(arrived.__cause__.__traceback__)
    assert _RemoteTraceback is type(arrived.__cause__.__cause__)


def test_context_and_its_suppression_arrive() -> None:
    """
    `__context__` arrives, and `from None` still hides it.
    """
    for hide in (False, True):
        exc = raised(ValueError("v"))
        exc.__context__ = raised(KeyError("k"))
        exc.__suppress_context__ = hide
        arrived = cross(exc)
        assert KeyError is type(arrived.__context__)
        assert hide is arrived.__suppress_context__
        assert _RemoteTraceback is type(arrived.__cause__)


def test_second_crossing_does_not_double_the_text() -> None:
    """
    The failure of a worker's own worker ends in one text, not in two.
    """
    arrived = cross(cross(ValueError("x")))
    assert _RemoteTraceback is type(arrived.__cause__)
    assert arrived.__cause__.__cause__ is None


def test_packing_changes_nothing() -> None:
    """
    The worker's exception is the same after it was packed.
    """
    exc = raised(broken.WithLock(), raised(KeyError("k")))
    before = (exc.__cause__, exc.__traceback__, dict(exc.__dict__))
    pack_failure(exc)
    assert before == (exc.__cause__, exc.__traceback__, dict(exc.__dict__))


def test_circles_arrive_as_circles() -> None:
    """
    Exceptions that cause one another do not hang either process.
    """
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    first.__context__ = first
    arrived = cross(first)
    assert arrived is arrived.__cause__.__cause__
    assert arrived is arrived.__context__


def test_shared_objects_stay_shared() -> None:
    """
    One exception or value that is referred to twice is one in the host.
    """
    shared, data = KeyError("k"), [1]
    exc: Any = ValueError(shared, data)
    exc.attribute, exc.inside, exc.data = shared, {"k": shared}, data
    exc.__context__ = shared
    arrived = cross(exc)
    assert arrived.__context__ is arrived.args[0]
    assert arrived.__context__ is arrived.attribute
    assert arrived.__context__ is arrived.inside["k"]
    assert arrived.data is arrived.args[1]


def test_groups_arrive_with_frames_of_their_members() -> None:
    """
    Nested groups keep members, their identity, frames and causes.
    """
    member = raised(ValueError("m"), raised(KeyError("c")))
    inner = ExceptionGroup("h", [member])
    group = BaseExceptionGroup("g", [inner, KeyboardInterrupt(), member])
    arrived = cross(group)
    assert str(group) == str(arrived)
    assert arrived.exceptions[2] is arrived.exceptions[0].exceptions[0]
    assert ["raised"] == names(arrived.exceptions[2].__traceback__)
    assert KeyError is type(arrived.exceptions[2].__cause__)


def test_group_class_of_the_user_arrives() -> None:
    """
    A group whose `__new__` wants other arguments is rebuilt without calling it.
    """
    arrived = cross(broken.OwnGroup([ValueError("m")], 7))
    assert (broken.OwnGroup, 7, "own") == (type(arrived), arrived.extra, arrived.message)


def test_notes_arrive() -> None:
    """
    Notes are kept, whatever they are.
    """
    for notes in (["a", "b"], ["one"], ["x", "y", "z"], ("a",), "text", [1], []):
        exc = ValueError("x")
        exc.__dict__["__notes__"] = notes
        assert notes == cross(exc).__notes__


@pytest.mark.slow
def test_deep_recursion_arrives() -> None:
    """
    A RecursionError of 1,000 frames keeps them all.
    """

    def dive() -> None:
        dive()

    with pytest.raises(RecursionError) as info:
        dive()
    arrived = cross(info.value)
    assert names(info.tb) == names(arrived.__traceback__)
    assert "".join(traceback.format_exception(info.value)) in str(arrived.__cause__)


@pytest.mark.slow
def test_long_chains_and_deep_groups_arrive() -> None:
    """
    1,000 causes, and groups nested 100 deep, are no recursion for the packer.
    """
    exc: BaseException = ValueError(0)
    for number in range(1, 1000):
        exc = raised(ValueError(number), exc)
    arrived: Any = cross(exc)
    for number in range(999, -1, -1):
        assert number == arrived.args[0]
        arrived = arrived.__cause__
    assert _RemoteTraceback is type(arrived)
    group: Exception = ValueError("core")
    for _ in range(100):
        group = ExceptionGroup("g", [group])
    assert type(cross(group)) is ExceptionGroup


def test_frames_do_not_hold_the_pickle() -> None:
    """
    Nothing of the packed bytes outlives the call that unpacks them.
    """
    data = bytearray(pack_failure(raised(ValueError("x"))))
    exc = unpack_failure(memoryview(data))
    data.clear()  # BufferError, were it still exported
    assert ("x",) == exc.args


def test_text_is_told_in_short_where_traceback_fails() -> None:
    """
    A class that is hostile to `traceback` costs no more than the length of the text.
    """
    arrived = cross(broken.HostileToTraceback("a"))
    assert broken.HostileToTraceback is type(arrived)
    assert '\n"""\ntests.wire.broken.HostileToTraceback: a\n"""' == str(arrived.__cause__)


def test_last_resort_names_the_class() -> None:
    """
    A class that defeats the packer itself still becomes an error that tells its name and text.
    """
    arrived = cross(broken.HostileToUs("told"))
    assert (RemoteError, "told") == (type(arrived), arrived.text)
    assert "tests.wire.broken.HostileToUs" == arrived.type_name
    assert "TypeError: 'int' object is not iterable" == arrived.reason
    assert _RemoteTraceback is type(arrived.__cause__)


values = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
trees: st.SearchStrategy[Any] = st.recursive(
    st.builds(ValueError, values, values) | st.builds(broken.Slotted, values),
    lambda inner: (
        st.builds(raised, inner, inner)
        | st.builds(ExceptionGroup, st.text(), st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=6,
)


def shape(exc: BaseException | None) -> object:
    """
    Return an exception tree as plain values.
    """
    if exc is None or type(exc) is _RemoteTraceback:
        return None
    members = [shape(each) for each in getattr(exc, "exceptions", ())]
    plain = () if members else exc.args
    return (
        type(exc),
        plain,
        members,
        names(exc.__traceback__),
        shape(exc.__cause__),
        shape(exc.__context__),
    )


@given(trees)
def test_any_tree_arrives(exc: Any) -> None:
    """
    Any tree of groups, causes and values is the same on the other side.
    """
    assert shape(exc) == shape(unpack_failure(pack_failure(exc)))


@given(st.binary() | st.builds(pickle.dumps, values))
def test_nonsense_becomes_an_error_to_raise(data: bytes) -> None:
    """
    Unpacking never raises, whatever the bytes are.
    """
    assert RemoteError is type(unpack_failure(data))


def test_other_process_rebuilds_it_all() -> None:
    """
    The bytes mean the same to a fresh interpreter, and classes of `__main__` come by value.
    """
    script = (
        "import sys\n"
        "from webworker_executor.wire.failure import pack_failure\n"
        "class Local(Exception):\n"
        "    def __init__(self, a, *, b):\n"
        "        super().__init__(a)\n"
        "        self.b = b\n"
        "def boom():\n"
        "    raise Local('a', b=[1])\n"
        "try:\n"
        "    boom()\n"
        "except Local as exc:\n"
        "    sys.stdout.buffer.write(pack_failure(exc))\n"
    )
    packed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    arrived: Any = unpack_failure(packed.stdout)
    assert ("Local", ("a",), [1]) == (type(arrived).__name__, arrived.args, arrived.b)
    assert ["<module>", "boom"] == names(arrived.__traceback__)


def test_what_is_left_behind_is_told() -> None:
    """
    One attribute that cannot cross takes nothing else with it, and a note names it.
    """
    arrived = cross(broken.WithLock())
    assert ("locked", "kept") == (str(arrived), arrived.name)
    assert LeftBehind is type(arrived.lock)
    assert "_thread.lock" in arrived.lock.text
    [note] = arrived.__notes__
    assert note.startswith("left behind: lock <left behind in the worker: <unlocked _thread.lock")

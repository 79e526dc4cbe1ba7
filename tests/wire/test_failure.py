"""
Tests of `webworker_executor.wire.failure`: every exception arrives, as itself wherever that is possible.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import traceback
from concurrent.futures.process import _RemoteTraceback  # type: ignore[attr-defined]  # not in typeshed
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire import broken
from webworker_executor.wire.failure import LeftBehind, RemoteError, pack_failure, unpack_failure

if TYPE_CHECKING:
    from types import TracebackType


def cross(exc: BaseException, skip: int = 0) -> Any:
    """
    Raise an exception if it was not yet, pack and unpack it.
    """
    try:
        if exc.__traceback__ is None:
            raise exc
    except BaseException as raised:
        return unpack_failure(pack_failure(raised, skip))
    return unpack_failure(pack_failure(exc, skip))


def names(trace: TracebackType | None) -> list[str]:
    """
    Name the functions of a traceback, the outermost first.
    """
    return [frame.f_code.co_name for frame, _ in traceback.walk_tb(trace)]


def raised(exc: BaseException, cause: BaseException | None = None) -> BaseException:
    """
    Return an exception that was really raised.
    """
    try:
        raise exc from cause
    except BaseException as error:
        return error


BUILTINS = [
    ValueError("x", 1),
    KeyError("missing"),
    SystemExit(3),
    SystemExit(),
    SystemExit("text"),
    KeyboardInterrupt(),
    GeneratorExit("x"),
    StopIteration(5),
    StopAsyncIteration(6),
    UnicodeEncodeError("ascii", "aé", 1, 2, "not in range"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad start"),
    UnicodeTranslateError("aé", 1, 2, "why"),
    SyntaxError("bad", ("f.py", 1, 2, "a b", 1, 3)),
    IndentationError("bad", ("f.py", 3, 2, "a b")),
    FileNotFoundError(2, "No such file", "a", None, "b"),
    OSError("only text"),
    OSError(),
    BlockingIOError(11, "again", 5),
    ImportError("no", name="n", path="p"),
    ModuleNotFoundError("no", name="n"),
    NameError("n", name="n"),
    AttributeError("a", name="a", obj="text"),
    RecursionError("deep"),
    MemoryError(),
    AssertionError(),
    EOFError(),
    Warning("w"),
    TimeoutError(),
    subprocess.CalledProcessError(3, ["a"], b"out", b"err"),
    json.JSONDecodeError("bad", "doc", 1),
]
FIELDS = (
    "args code value encoding object start end reason msg filename lineno offset text end_lineno end_offset "
    "errno strerror filename2 characters_written name path name_from obj returncode cmd output stderr doc pos colno"
)


def looks(exc: BaseException) -> dict[str, object]:
    """
    Return everything that tells exceptions of the standard library apart.
    """
    seen: dict[str, object] = {"type": type(exc), "str": str(exc), "repr": repr(exc)}
    for field in FIELDS.split():
        try:
            seen[field] = getattr(exc, field)
        except AttributeError:
            continue
    return seen


@pytest.mark.parametrize("exc", BUILTINS, ids=repr)
def test_standard_exceptions_arrive_with_all_their_state(exc: BaseException) -> None:
    """
    What pickle forgets of a builtin exception (SystemExit.code, SyntaxError.text ...) arrives too.
    """
    assert looks(exc) == looks(cross(exc))


def test_unset_state_stays_unset() -> None:
    """
    A bare StopIteration or UnicodeDecodeError made by `__new__` crosses as it is.
    """
    assert str(UnicodeDecodeError.__new__(UnicodeDecodeError)) == str(
        cross(UnicodeDecodeError.__new__(UnicodeDecodeError))
    )


def outer() -> None:
    inner()


def inner() -> None:
    raise ValueError("deep")


def test_real_frames_arrive() -> None:
    """
    `__traceback__` holds the worker's frames with file, function, line and columns.
    """
    try:
        outer()
    except ValueError as exc:
        arrived = unpack_failure(pack_failure(exc))
        assert ["test_real_frames_arrive", "outer", "inner"] == names(arrived.__traceback__)
        assert traceback.format_tb(exc.__traceback__) == traceback.format_tb(arrived.__traceback__)


def test_skipped_frames_are_left_out() -> None:
    """
    The frames of the worker's own loop are in neither the traceback nor the text.
    """
    try:
        outer()
    except ValueError as exc:
        arrived = unpack_failure(pack_failure(exc, skip=2))
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
        try:
            try:
                raise KeyError("k")
            except KeyError as first:
                second = ValueError("v")
                second.__context__ = first
                second.__suppress_context__ = hide
                raise second
        except ValueError as exc:
            arrived = unpack_failure(pack_failure(exc))
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
    group = BaseExceptionGroup("g", [ExceptionGroup("h", [member]), KeyboardInterrupt(), member])  # type: ignore[list-item]  # it is an Exception
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
        exc.__notes__ = notes  # type: ignore[assignment]  # odd on purpose
        assert notes == cross(exc).__notes__


@pytest.mark.slow
def test_deep_recursion_arrives() -> None:
    """
    A RecursionError of 1,000 frames keeps them all.
    """

    def dive() -> None:
        dive()

    try:
        dive()
    except RecursionError as exc:
        arrived = unpack_failure(pack_failure(exc))
        assert names(exc.__traceback__) == names(arrived.__traceback__)
        assert "".join(traceback.format_exception(exc)) in str(arrived.__cause__)


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


values = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
trees: st.SearchStrategy[Exception] = st.recursive(
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
def test_any_tree_arrives(exc: Exception) -> None:
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

"""
Arrays arrive as by numpy's own reduction, in a shorter way.
"""

from __future__ import annotations

import copyreg
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire import apart, array, codec

if TYPE_CHECKING:
    from collections.abc import Callable

numpy: Any = pytest.importorskip("numpy")

N_LARGE = apart.OUT_OF_BAND // 8


def is_short(value: object) -> bool:
    """Tell whether a value is packed in the short way."""
    return array.laid_out(value, codec._PLAIN) is not None


def back(value: object) -> Any:
    """Return what becomes of a value on its way."""
    packed = codec.pack(value)
    return codec.unpack(packed.payload, [bytearray(buffer) for buffer in packed.buffers])  # type: ignore[arg-type]  # without a shelf they are bytes


def read_only(values: Any) -> Any:
    values.flags.writeable = False
    return values


ARRAYS = {
    "floats": numpy.arange(12.0),
    "two dimensions": numpy.arange(12.0).reshape(3, 4),
    "no dimension": numpy.array(5),
    "no element": numpy.empty((3, 0)),
    "large": numpy.arange(N_LARGE, dtype="f8").reshape(2, -1),
    "read-only": read_only(numpy.arange(3)),
    "large and read-only": read_only(numpy.zeros(N_LARGE)),
    **{f"of {kind}": numpy.ones(3, kind) for kind in "?bBhHiIlLqQefdgFDG"},
}
OTHERS = {
    "objects": numpy.array([None, "x"]),
    "texts": numpy.array(["x", "yz"]),
    "times": numpy.array(["2020-01-01"], "M8[D]"),
    "records": numpy.zeros(3, [("a", "i4"), ("b", "f8")]),
    "other byte order": numpy.arange(3, dtype=">i4"),
    "dtype with metadata": numpy.zeros(3, numpy.dtype("f8", metadata={"a": 1})),
    "Fortran's order": numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4)),
    "every other": numpy.arange(12.0)[::2],
    "subclass": numpy.ma.masked_array([1, 2], [True, False]),
    "scalar": numpy.float64(3),
}


@pytest.mark.parametrize("name", [*ARRAYS, *OTHERS])
@pytest.mark.parametrize("is_alone", [True, False])
def test_arrays_arrive_as_by_numpy(name: str, is_alone: bool) -> None:
    """
    Values, dtype, shape and order are those of a plain pickle, and each can be written to.
    """
    given = {**ARRAYS, **OTHERS}[name]
    value = given if is_alone else (1, given, "text", None)
    assert (name in ARRAYS) == is_short(value)
    buffers: list[pickle.PickleBuffer] = []
    plainly = pickle.loads(
        pickle.dumps(given, 5, buffer_callback=buffers.append),
        buffers=[bytearray(buffer) for buffer in buffers],
    )
    came = back(value) if is_alone else back(value)[1]
    assert type(plainly) is type(came)
    assert (plainly.dtype, plainly.shape) == (came.dtype, came.shape)
    assert plainly.tolist() == came.tolist()
    assert plainly.flags.f_contiguous == came.flags.f_contiguous
    assert came.flags.writeable == (name != "scalar")


class Holder:
    """Holds an array, as an instance of a class."""

    def __init__(self, held: Any) -> None:
        self.held = held


READ_ONLY = {
    "of numbers": read_only(numpy.arange(3)),
    "large": read_only(numpy.arange(N_LARGE, dtype="f8").reshape(2, -1)),
    "of records": read_only(numpy.zeros(3, [("a", "i4"), ("b", "f8")])),
    "in Fortran's order": read_only(numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4))),
    "large and in Fortran's order": read_only(
        numpy.asfortranarray(numpy.arange(2.0 * N_LARGE).reshape(2, -1))
    ),
    "without an element": read_only(numpy.empty((3, 0), ">i4")),
    "over bytes": numpy.frombuffer(b"abc", "u1"),
    "broadcast": numpy.broadcast_to(numpy.arange(3.0), (2, 3)),
    "broadcast to its own shape": numpy.broadcast_arrays(numpy.arange(3.0), numpy.ones(3))[0],
}


@pytest.mark.parametrize("name", READ_ONLY)
@pytest.mark.parametrize("pack", [codec.pack, codec.pack_by_value])
def test_what_is_read_only_arrives_writable(name: str, pack: Any) -> None:
    """
    Wherever it is in a value, whichever pickler packs it; and the original stays what it is.
    """
    given = READ_ONLY[name]
    was_writable = given.flags.writeable
    ways: list[tuple[object, Callable[[Any], Any]]] = [
        (given, lambda came: came),
        ((1, given), lambda came: came[1]),
        ({"a": [given]}, lambda came: came["a"][0]),
        (Holder(given), lambda came: came.held),
        ((lambda: given), lambda came: came()),
    ]
    for value, taken in ways:
        packed = pack(value)
        came = taken(codec.unpack(packed.payload, [bytearray(part) for part in packed.buffers]))
        assert came.flags.writeable
        assert (given.dtype, given.shape) == (came.dtype, came.shape)
        assert given.tolist() == came.tolist()
        assert given.flags.f_contiguous == came.flags.f_contiguous
    assert was_writable == given.flags.writeable


def test_a_plain_pickler_packs_what_is_read_only() -> None:
    """
    None that asks Python of each object is needed, and one array is one again.
    """
    given = read_only(numpy.arange(N_LARGE, dtype="f8"))
    packed = codec.pack([given, {"a": given}, read_only(numpy.arange(3))])
    assert [given.nbytes] == [len(buffer) for buffer in packed.buffers]
    first, inside, _ = back([given, {"a": given}, 1])
    assert first is inside["a"]
    assert b"cloudpickle" not in packed.payload


def test_bytes_and_buffers_of_others_stay_read_only() -> None:
    """
    They are no arrays, and immutable where they come from.
    """
    assert type(back([b"abc"])[0]) is bytes
    given = memoryview(bytes(apart.OUT_OF_BAND)).cast("d")
    assert back(pickle.PickleBuffer(given)).readonly


def test_what_a_program_says_of_arrays_to_multiprocessing_counts() -> None:
    """
    A reduction that is registered there is left to the pickler that asks for it.
    """
    from multiprocessing.reduction import ForkingPickler

    assert [numpy.ndarray] == [*array.reducers()]
    ForkingPickler.register(numpy.ndarray, lambda given: (str, ("own",)))
    try:
        assert {} == array.reducers()
    finally:
        del ForkingPickler._extra_reducers[numpy.ndarray]  # type: ignore[attr-defined]  # not public


def test_one_array_is_one_array_again() -> None:
    """
    As an argument twice over; and where one could lie in something else, nothing is told apart.
    """
    given = numpy.arange(3)
    first, second, third = back((given, given, numpy.arange(3)))
    assert first is second
    assert first is not third
    first, inside = back((given, [given]))
    assert first is inside[0]
    assert not is_short((given, [given]))


def test_memory_is_kept_for_as_long_as_the_array() -> None:
    """
    What an array stands on cannot be resized under it.
    """
    buffer = bytearray(24)
    came = array.rebuilt(buffer, "<f8", (3,))
    with pytest.raises(BufferError):
        buffer.clear()
    assert [0.0, 0.0, 0.0] == came.tolist()


def test_what_a_program_says_of_arrays_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A reduction that it has registered is used.
    """
    monkeypatch.setitem(copyreg.dispatch_table, numpy.ndarray, lambda given: (str, ("own",)))
    assert "own" == back(numpy.arange(3))


def test_a_program_that_is_importing_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is half a module has no arrays yet, and nothing is asked of it.
    """
    monkeypatch.setitem(sys.modules, "numpy", type(sys)("numpy"))
    assert (1, [2]) == back((1, [2]))


def test_the_reader_need_not_have_imported_numpy() -> None:
    """
    It is imported when the first array comes.
    """
    program = (
        "import sys; from webworker_executor.wire import codec\n"
        f"assert 'numpy' not in sys.modules\n"
        f"print(codec.unpack({codec.pack(numpy.arange(3)).payload!r}))"
    )
    came = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "[0 1 2]\n" == came.stdout

"""
Tests of `webworker_executor.wire.mapped`: memory that is shared, or a file's.
"""

from __future__ import annotations

import ctypes
import mmap
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.link.segment import OwnMap
from webworker_executor.wire.forks import Forks, packing_for_forks
from webworker_executor.wire.mapped import owner_of, reopening, view_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner

numpy: Any = pytest.importorskip("numpy")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """
    Make a file of twelve numbers.
    """
    path = tmp_path / "numbers"
    numpy.arange(12.0).tofile(path)
    return path


def test_views_of_mapped_memory_are_told_apart() -> None:
    """
    From arrays that have memory of their own, and from anything else.
    """
    memory = mmap.mmap(-1, 64)
    over_it = (ctypes.c_double * 8).from_buffer(memory)
    shared = [
        memory,
        memoryview(memory)[8:],
        over_it,
        numpy.frombuffer(memory),
        numpy.frombuffer(memory)[2:].reshape(2, 3),
        numpy.ndarray(8, buffer=memoryview(memory)),
        numpy.frombuffer(over_it),
        numpy.lib.stride_tricks.sliding_window_view(numpy.frombuffer(memory), 2),
    ]
    assert all(owner_of(each) is memory for each in shared)


def test_views_of_other_memory_are_none() -> None:
    """
    Nor is what a fork has a private copy of.
    """
    buffers: list[pickle.PickleBuffer] = []
    payload = pickle.dumps(numpy.zeros(8), 5, buffer_callback=buffers.append)
    released = memoryview(mmap.mmap(-1, 64))
    released.release()
    own = [
        numpy.zeros(8),
        numpy.zeros(8)[2:],
        numpy.frombuffer(bytes(64)),
        numpy.asarray(memoryview(bytearray(64))),
        pickle.loads(payload, buffers=[bytearray(64)]),
        numpy.frombuffer((ctypes.c_double * 8)()),
        (ctypes.c_double * 8).from_buffer(bytearray(64)),
        numpy.frombuffer(mmap.mmap(-1, 64, access=mmap.ACCESS_COPY)),
        numpy.frombuffer(OwnMap(-1, 64)),
        memoryview(b"text"),
        released,
        [1],
        None,
    ]
    assert [None] * len(own) == list(map(owner_of, own))


class Marked(numpy.ndarray):  # type: ignore[misc]  # numpy is untyped here
    """
    An array with an attribute.
    """


def test_a_view_of_what_was_inherited_packs_to_its_place() -> None:
    """
    Of each layout, and of the class that it has; only in packing for who has the memory.
    """
    memory = mmap.mmap(-1, 96)
    whole = numpy.frombuffer(memory)
    whole[:] = range(12)
    marked = whole[3:].view(Marked)
    marked.mark = "so"
    read_only = whole[:2]
    read_only.flags.writeable = False
    views = [whole, whole[5:], whole[::-2], whole.reshape(3, 4)[:, 1], marked, read_only]
    for view in views:
        assert view_of(view) is None
        made: Any = pickle.loads(packing_for_forks(_packed, view, forks=Forks()))
        assert (view.tolist(), view.dtype, view.strides) == (
            made.tolist(),
            made.dtype,
            made.strides,
        )
        assert (type(view), view.flags.writeable) == (type(made), made.flags.writeable)
        assert numpy.shares_memory(view, made)
    assert "so" == made_mark(marked)
    others = [whole[:0], numpy.ma.masked_array(whole), numpy.zeros(3), memoryview(memory)]
    assert [None] * 4 == [packing_for_forks(view_of, each, forks=Forks()) for each in others]


def _packed(view: Any) -> bytes:
    return pickle.dumps(view_of(view), 5)


def made_mark(marked: Any) -> object:
    """
    Give the attribute of a copy.
    """
    return pickle.loads(packing_for_forks(_packed, marked, forks=Forks())).mark


def test_memory_that_came_after_the_fork_has_no_place() -> None:
    """
    What is packed then has to be a copy.
    """
    before, after = numpy.frombuffer(mmap.mmap(-1, 64)), numpy.frombuffer(mmap.mmap(-1, 64))
    forks = Forks()
    assert packing_for_forks(view_of, before, forks=forks) is not None
    forks.begin()
    assert packing_for_forks(view_of, before, forks=forks) is not None
    assert packing_for_forks(view_of, after, forks=forks) is None
    assert packing_for_forks(view_of, before) is None


@pytest.mark.parametrize("part", [slice(None), slice(1, None), slice(1, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_part_of_a_file_is_mapped_again(file: Path, part: slice, order: Any) -> None:
    """
    The same part, and what one writes the other sees.
    """
    whole = numpy.memmap(file, "f8", "r+", offset=8, shape=(3, 3), order=order)
    mine = whole[part] if order == "C" else whole[:, part]
    other: Any = pickle.loads(pickle.dumps(reopening(mine)))
    assert (mine.tolist(), mine.dtype) == (other.tolist(), other.dtype)
    other[0] = 100.0
    assert mine.tolist() == other.tolist()


def test_a_file_that_was_made_is_not_made_anew(file: Path) -> None:
    """
    Nor is one written that was opened to be read.
    """
    for mode in ("w+", "r"):
        mine = numpy.memmap(file, "f8", mode, shape=(3,))
        other: Any = pickle.loads(pickle.dumps(reopening(mine)))
        assert mine.tolist() == other.tolist()
        assert (mode != "r") == other.flags.writeable


def test_what_is_no_more_than_a_view_is_mapped_again(file: Path) -> None:
    """
    With gaps, turned round, as a plain array; each has the class that it had.
    """
    whole = numpy.memmap(file, "f8", "r+", offset=16, shape=(5, 2))
    plain = numpy.asarray(whole)
    for mine in (whole[:, 1], whole[::2], plain[1:, :1], whole[::-1, ::-1], whole.T, plain):
        other: Any = pickle.loads(pickle.dumps(reopening(mine)))
        again: Any = pickle.loads(pickle.dumps(reopening(other)))
        assert type(mine) is type(other) is type(again)
        assert (mine.tolist(), mine.strides) == (other.tolist(), other.strides)
        mine[-1] += 100.0
        again[0] += 1000.0
        assert mine.tolist() == other.tolist() == again.tolist()
    made: Any = pickle.loads(pickle.dumps(reopening(whole[1:])))
    assert (str(file), "r+", 32) == (made.filename, made.mode, made.offset)
    made.flush()


def test_what_was_made_read_only_is_read_only(file: Path) -> None:
    """
    A task must not write what the program would not.
    """
    mine = numpy.memmap(file, "f8", "r+")[:10]
    mine.flags.writeable = False
    other: Any = pickle.loads(pickle.dumps(reopening(mine)))
    assert (mine.tolist(), False) == (other.tolist(), other.flags.writeable)
    with pytest.raises(ValueError, match="WRITEABLE"):
        other.flags.writeable = True


def test_a_file_that_has_become_shorter_stays_so(file: Path) -> None:
    """
    It is an error, and numpy would make the file longer.
    """
    payload = pickle.dumps(reopening(numpy.memmap(file, "f8", "r+")))
    with file.open("r+b") as opened:
        opened.truncate(16)
    with pytest.raises(ValueError, match="has 16 bytes by now, fewer than the 96"):
        pickle.loads(payload)
    assert 16 == file.stat().st_size


def test_a_file_that_was_replaced_is_not_mapped(file: Path) -> None:
    """
    What comes in its place is another file, before it is packed or after.
    """
    first = numpy.memmap(file, "f8", "r+")
    second = numpy.memmap(file, "f8", "r+")
    payload = pickle.dumps(reopening(first))
    other = file.with_name("other")
    numpy.zeros(12).tofile(other)
    other.replace(file)
    assert [None, None] == [reopening(first), reopening(second)]
    with pytest.raises(FileNotFoundError, match="is another file by now"):
        pickle.loads(payload)
    assert reopening(numpy.memmap(file, "f8", "r+")) is not None


def test_a_file_is_found_by_another_name(file: Path) -> None:
    """
    As long as that leads to it.
    """
    link = file.with_name("link")
    link.symlink_to(file)
    mine = numpy.memmap(link, "f8", "r+")
    other: Any = pickle.loads(pickle.dumps(reopening(mine)))
    assert mine.tolist() == other.tolist()


def test_what_no_file_has_is_not_mapped_again(file: Path) -> None:
    """
    What is private, is no map any more, or of a file that is gone, is copied.
    """
    whole = numpy.memmap(file, "f8", "r+")
    private = numpy.memmap(file, "f8", "c")
    others = [private, whole + 1, whole[:0], numpy.zeros(3), whole.view(numpy.recarray), "text"]
    assert [None] * 6 == list(map(reopening, others))
    file.unlink()
    assert reopening(whole) is None


PROGRAM = """
import mmap, sys
import numpy
from webworker_executor import WebWorkerExecutor

file = sys.argv[1]
numbers = numpy.memmap(file, "f8", "r+")
shared = numpy.frombuffer(mmap.mmap(-1, 96))

column = numpy.asarray(numbers).reshape(3, 4)[:, 1]

class Holder:
    held = numbers

def fill_column(index):
    column[index] += 0.25

def fill(index):
    numbers[index] = index + 1

def fill_held(index):
    Holder.held[index] += 10

def fill_given(index, given=numbers):
    given[index] += 100

def fill_shared(index):
    shared[index] = index + 1

if __name__ == "__main__":
    with WebWorkerExecutor(2, launcher=sys.argv[2]) as executor:
        for function in (fill, fill_held, fill_given):
            list(executor.map(function, range(12)))
        print(numpy.fromfile(file).astype(int).tolist())
        list(executor.map(fill_column, range(3)))
        print(numpy.fromfile(file)[1::4].tolist())
        if sys.argv[2] == "fork":
            list(executor.map(fill_shared, range(12)))
            print(shared.astype(int).tolist())
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["spawn", "zygote", "fork"])
def test_tasks_write_into_what_is_mapped(
    run_script: ScriptRunner, file: Path, launcher: str
) -> None:
    """
    As with the standard library's workers, where a global variable has it.
    """
    done = run_script(PROGRAM, str(file), launcher)
    expected = [f"{[number + 111 for number in range(12)]}", "[112.25, 116.25, 120.25]"]
    if launcher == "fork":
        expected.append(f"{list(range(1, 13))}")
    assert (expected, "") == (done.stdout.splitlines(), done.stderr)


RECEIVED = """
import sys
import numpy
from webworker_executor import WebWorkerExecutor

state = numpy.zeros(1000)
large = numpy.zeros(100_000)

def step():
    return state + 1

def step_large():
    return large + 1

with WebWorkerExecutor(1, launcher=sys.argv[1]) as pool:
    for _ in range(3):
        state = pool.submit(step).result()
        large = pool.submit(step_large).result()
    print(state[0], large[0])
    late = numpy.frombuffer(bytearray(80))
    rows = [state]

    def look():
        return len(late) + len(rows)

    print(pool.submit(look).result())
    rows.append(large)
    print(pool.submit(look).result())
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["spawn", "fork"])
def test_what_was_received_is_no_shared_memory(run_script: ScriptRunner, launcher: str) -> None:
    """
    A global that holds a result is sent like any other, also inside a list.
    """
    done = run_script(RECEIVED, launcher)
    assert (["3.0 3.0", "11", "12"], "") == (done.stdout.splitlines(), done.stderr)


INHERITED = """
import mmap
from multiprocessing import RawArray
import numpy
from webworker_executor import WebWorkerExecutor

memory = mmap.mmap(-1, 800)
raw = numpy.frombuffer(RawArray("d", 2))
shared = numpy.frombuffer(memory)
box = {"shared": shared, "part": shared[10:20][::-1], "rate": 1}

class Holder:
    part = shared[30:]

def fill(given=shared[40:]):
    box["shared"][0] += box["rate"]
    box["part"][0] += box["rate"]
    Holder.part[0] += 1
    given[0] += 1
    raw[0] += 1
    return shared is box["shared"]

with WebWorkerExecutor(1, launcher="fork") as pool:
    print(pool.submit(fill).result(), shared[[0, 19, 30, 40]])
    box["rate"] = 10
    pool.submit(fill).result()
    print(shared[[0, 19, 30, 40]], raw[0])
    # Over memory that the worker has, though not under this name.
    late = numpy.frombuffer(memory)[50:]
    # And over what it has not.
    own = numpy.frombuffer(mmap.mmap(-1, 80))

    def fill_late():
        late[0] += 1
        own[0] += 1
        return own[0]

    print(pool.submit(fill_late).result(), late[0], own[0])
    own[0] = 5
    print(pool.submit(fill_late).result(), late[0], own[0])
"""


@pytest.mark.slow
def test_views_inside_of_what_changes_are_shared_and_the_rest_is_sent(
    run_script: ScriptRunner,
) -> None:
    """
    Of memory that the worker has inherited; of other memory it gets a copy.
    """
    done = run_script(INHERITED)
    expected = ["True [1. 1. 1. 1.]", "[11. 11.  2.  2.] 2.0", "1.0 1.0 0.0", "6.0 2.0 5.0"]
    assert (expected, "") == (done.stdout.splitlines(), done.stderr)

"""
Tests of `webworker_executor.wire.mapped`: memory that is shared, or a file's.
"""

from __future__ import annotations

import ctypes
import mmap
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire.mapped import is_mapped, reopening

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
    shared = [
        numpy.frombuffer(memory),
        numpy.frombuffer(memory)[2:].reshape(2, 3),
        numpy.ndarray(8, buffer=memoryview(memory)),
        numpy.frombuffer((ctypes.c_double * 8)()),
        memoryview(memory),
    ]
    own = [numpy.zeros(8), numpy.zeros(8)[2:], numpy.frombuffer(bytes(64)), [1], "text", None]
    assert [True] * 5 == list(map(is_mapped, shared))
    assert [False] * 6 == list(map(is_mapped, own))


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


def test_what_no_file_has_is_not_mapped_again(file: Path) -> None:
    """
    What is private, has gaps, is no map any more, or of a file that is gone, is copied.
    """
    whole = numpy.memmap(file, "f8", "r+")
    private = numpy.memmap(file, "f8", "c")
    others = [private, whole[::2], whole + 1, whole[:0], numpy.zeros(3), "text"]
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

class Holder:
    held = numbers

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
    expected = [f"{[number + 111 for number in range(12)]}"]
    if launcher == "fork":
        expected.append(f"{list(range(1, 13))}")
    assert (expected, "") == (done.stdout.splitlines(), done.stderr)

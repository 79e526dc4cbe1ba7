"""
Tests of `webworker_executor.wire.large`: functions with large globals are packed once.
"""

from __future__ import annotations

import signal
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire import codec, definition, large
from webworker_executor.wire.definition import LARGE_NBYTES
from webworker_executor.wire.forks import Forks, packing_for_forks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.script import ScriptRunner

SOURCE = """
table = list(range(600_000))
settings = {"scale": 1}
small = [1]
class Shaped:
    shape = (1, 2)
    data = b"x" * 2_000_000
    def __init__(self): self.more = self.data * 2
shaped = Shaped()
def large(index): return table[index] * settings["scale"]
def little(index, table): return small[0]
def of_shaped(): return shaped.shape
"""


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """
    Put a module in the place of `__main__`, whose functions go by value.
    """
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    exec(SOURCE, module.__dict__)
    definition.forget_large()
    yield module
    definition.forget_large()


def no_room(buffers: object) -> None:
    """Be a shelf without room."""


def submitted(fn: Any, *args: Any) -> Any:
    """Pack a call, as `Call.pack` does; return the definition."""
    found, _, packed = definition.pack_call(fn, args, {}, no_room)
    if found is None:
        definition.suspect(fn, packed)
    return found


def defined(fn: Any, *args: Any) -> Any:
    """Return the definition that the next call has."""
    submitted(fn, *args)
    found = submitted(fn, *args)
    assert found is submitted(fn, *args)
    return found


def test_from_the_second_call_on_it_is_a_definition(main: Any) -> None:
    """
    The first one tells that it is large; the bytes are packed once more, and never again.
    """
    assert submitted(main.large, 1) is None
    found = submitted(main.large, 1)
    assert found is submitted(main.large, 2)
    assert len(found.payload) > LARGE_NBYTES


@pytest.mark.parametrize(
    "change",
    [
        "table.append(1)",
        "table = list(table)",
        "settings['scale'] = 2",
        "def large(index): return table[0]",
    ],
)
def test_what_has_changed_is_packed_anew(main: Any, change: str) -> None:
    """
    What is large as far as one sees, what is small wherever it is.
    """
    before = defined(main.large, 1)
    exec(change, main.__dict__)
    assert before is not defined(main.large, 1)


def test_what_looks_the_same_is_not_read(main: Any) -> None:
    """
    As with the workers of the standard library, which have what there was when they came.
    """
    before = defined(main.large, 1)
    main.table[5] = "five"
    assert before is submitted(main.large, 1)
    definition.forget_large()
    assert before is not defined(main.large, 1)


def test_shapes_are_seen(main: Any) -> None:
    """
    Of whatever has one.
    """
    before = defined(main.of_shaped)
    main.shaped.shape = (2, 2)
    assert before is not defined(main.of_shaped)


def test_large_arguments_make_no_function_large(main: Any) -> None:
    """
    It is looked at once, and goes along with each call as ever.
    """
    data = bytes(2 * LARGE_NBYTES)
    assert [None] * 3 == [submitted(main.little, 1, data) for _ in range(3)]
    # Until it is.
    main.small.extend(range(600_000))
    assert defined(main.little, 1, data) is not None


def test_forks_have_bytes_of_their_own(main: Any) -> None:
    """
    What is packed for them lacks what they inherit.
    """
    before = defined(main.large, 1)
    first, second = Forks(frozenset()), Forks(frozenset())
    theirs = packing_for_forks(defined, main.large, 1, forks=first)
    assert before is not theirs
    assert theirs is not packing_for_forks(defined, main.large, 1, forks=second)
    assert before is submitted(main.large, 1)
    assert theirs is packing_for_forks(submitted, main.large, 1, forks=first)


def test_a_name_has_one(main: Any) -> None:
    """
    What a cell of a notebook has defined before is let go of.
    """
    for _ in range(3):
        exec("def large(index): return table[index]", main.__dict__)
        defined(main.large, 1)
    assert 1 == len(large._known)


def test_they_have_only_so_much(main: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The oldest goes; what is larger than all may be has none, and is not tried again.
    """
    for number in range(3):
        exec(f"def large{number}(index): return table[index]", main.__dict__)
    first = defined(main.large0, 1)
    monkeypatch.setattr(large, "_MOST_NBYTES", 2 * len(first.payload) + 100)
    defined(main.large1, 1)
    defined(main.large2, 1)
    held = [definition for _, definition, _ in large._known.values()]
    assert 2 == len(held)
    assert first not in held
    monkeypatch.setattr(large, "_MOST_NBYTES", LARGE_NBYTES)
    definition.forget_large()
    assert [None] * 3 == [submitted(main.large0, 1) for _ in range(3)]
    packed: list[object] = []
    monkeypatch.setattr(codec, "pack_by_value", packed.append)
    assert definition._define_large(main.large0, no_room) is None
    assert [] == packed


def test_what_is_called_once_is_not_kept(main: Any) -> None:
    """
    A closure over something large goes when its caller lets go of it.
    """
    exec("def make(data): return lambda: data[0]", main.__dict__)
    fn = main.make(list(range(600_000)))
    kept = weakref.ref(fn)
    for _ in range(3):
        submitted(fn)
    del fn
    assert kept() is None


def test_what_a_handler_raises_comes_out(main: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is no error of the packing.
    """

    def strike(fn: object, shelf: object) -> None:
        def handler(number: int, frame: types.FrameType | None) -> None:
            raise TimeoutError

        before = signal.signal(signal.SIGUSR1, handler)
        try:
            signal.raise_signal(signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)

    submitted(main.large, 1)
    monkeypatch.setattr(large, "definition_of", strike)
    with pytest.raises(TimeoutError):
        submitted(main.large, 1)


def test_there_are_only_so_many(main: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The oldest goes.
    """
    monkeypatch.setattr(large, "_MOST", 2)
    for number in range(4):
        exec(f"def large{number}(index): return table[index]", main.__dict__)
        defined(vars(main)[f"large{number}"], 1)
    assert large._MOST == len(large._known)


PROGRAM = """
import sys
from webworker_executor import WebWorkerExecutor

table = list(range(600_000))

def find(index):
    return table[index]

def note(index):
    table[index] += 1
    return table[index]

if __name__ == "__main__":
    with WebWorkerExecutor(1, launcher=sys.argv[1]) as executor:
        print([executor.submit(find, index).result() for index in range(5)])
        print([executor.submit(note, 9).result() for _ in range(4)])
        table[3] = -1
        table.append("new")
        print([executor.submit(find, index).result() for index in (3, -1, 9)])
    table[4] = -2
    with WebWorkerExecutor(1, launcher=sys.argv[1]) as executor:
        print([executor.submit(find, 4).result() for _ in range(4)])
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["spawn", "zygote", "fork"])
def test_tasks_find_large_globals(run_script: ScriptRunner, launcher: str) -> None:
    """
    With what tasks before have written there, until the program changes them; a new executor has
    what there is now.
    """
    done = run_script(PROGRAM, launcher)
    expected = ["[0, 1, 2, 3, 4]", "[10, 11, 12, 13]", "[-1, 'new', 9]", "[-2, -2, -2, -2]"]
    assert (expected, "") == (done.stdout.splitlines(), done.stderr)

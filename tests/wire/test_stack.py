"""
Tests of `webworker_executor.wire.stack`: rebuilt frames serve every tool that reads them.
"""

from __future__ import annotations

import gc
import io
import linecache
import pdb
import sys
import threading
import traceback
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.wire import stack
from webworker_executor.wire.failure import pack_failure, unpack_failure
from webworker_executor.wire.stack import drop_frames, known_frames, rebuild_trace, show_sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    from webworker_executor.wire.stack import Position, Row


class Place:
    """
    Give methods, whose qualified names have a dot.
    """

    def fail(self) -> None:
        """
        Raise, where carets point at a part of the line.
        """
        print(1 + (2 / 0))  # noqa: T201  # a line to be shown


def caught(fn: Any = None) -> BaseException:
    """
    Return what a function raises.
    """
    try:
        (fn or Place().fail)()
    except BaseException as exc:
        return exc
    raise AssertionError


def crossed(trace: TracebackType | None) -> Any:
    """
    Take a traceback apart and rebuild it.
    """
    return rebuild_trace([known.row for known in known_frames(trace)])


def places(trace: TracebackType | None) -> list[tuple[object, ...]]:
    """
    Return all that is known of a traceback's frames.
    """
    found: list[tuple[object, ...]] = []
    while trace is not None:
        frame = trace.tb_frame
        code = frame.f_code
        found.append(
            (code.co_filename, code.co_name, code.co_qualname, code.co_firstlineno, trace.tb_lineno)
        )
        found.append((frame.f_globals["__name__"], frame.f_globals["__file__"]))
        trace = trace.tb_next
    return found


def test_rebuilt_frames_tell_the_same_places() -> None:
    """
    File, names, lines, columns and module of every frame are the same.
    """
    trace = caught().__traceback__
    assert places(trace) == places(crossed(trace))
    assert traceback.format_tb(trace) == traceback.format_tb(crossed(trace))
    last = list(traceback.walk_tb(crossed(trace)))[-1]
    assert last[1] == last[0].f_lineno


def test_rebuilt_frames_cross_again() -> None:
    """
    What an inner worker's frames tell reaches the outer host.
    """
    trace = caught().__traceback__
    assert traceback.format_tb(trace) == traceback.format_tb(crossed(crossed(trace)))


def in_a_thread(fn: Callable[[], object]) -> None:
    """
    Call what sets a tracer where it cannot spoil a measurement of these tests.
    """
    thread = threading.Thread(target=fn)
    thread.start()
    thread.join()


lines = st.integers(1, 10**6)
columns = st.integers(0, 10**5)


@given(lines, lines, columns, columns, st.integers(0, 500))
def test_any_place_is_encoded(first: int, line: int, column: int, end: int, more: int) -> None:
    """
    Any first line, line and columns come back from the code object.
    """
    row: Row = ("f", "n", "q.n", first, line, (line, line + more, column, end), "m", None)
    trace: Any = rebuild_trace([row])
    code = trace.tb_frame.f_code
    assert {(line, line + more, column, end)} == set(code.co_positions())
    assert (first, line) == (code.co_firstlineno, trace.tb_frame.f_lineno)


@given(lines, lines)
def test_place_without_columns_is_encoded(first: int, line: int) -> None:
    """
    Code without columns (`-X no_debug_ranges`), or with senseless ones, keeps its line.
    """
    places: list[Position] = [(line, None, None, None), (line, line - 1, 0, 1)]
    for place in places:
        trace: Any = rebuild_trace([("f", "n", "n", first, line, place, None, None)])
        assert {(line, line, None, None)} == set(trace.tb_frame.f_code.co_positions())


def test_frames_are_dropped_from_the_outside() -> None:
    """
    `drop_frames` takes the outermost ones, at most all.
    """
    trace: Any = caught().__traceback__
    assert drop_frames(trace, 1) is trace.tb_next
    assert drop_frames(trace, 0) is trace
    assert drop_frames(trace, 5) is None


def test_endless_tracebacks_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of too many frames the outermost and the innermost are kept.
    """
    monkeypatch.setattr(stack, "MAX_FRAMES", 4)

    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        raise ValueError

    names = [known.row[1] for known in known_frames(caught(lambda: dive(9)).__traceback__)]
    assert ["caught", "<lambda>", "dive", "dive"] == names


def test_caches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A worker that makes new code for every task keeps only so much of it.
    """
    monkeypatch.setattr(stack, "_MAX_KNOWN", 3)
    for number in range(10):
        source = f"def made_{number}(): 1 / 0"
        variables: dict[str, Any] = {}
        exec(source, variables)
        crossed(caught(variables[f"made_{number}"]).__traceback__)
        show_sources({f"<made {number}>": source})
    assert 4 >= max(len(stack._known), len(stack._codes), len(stack._shipped))
    assert "<made 0>" not in linecache.cache


def test_source_that_is_on_no_disk_travels() -> None:
    """
    The lines of a notebook's cell are shown in the host too, but never in place of the host's own.
    """
    source = "def cell():\n    return 1 / 0\n"
    entry = (len(source), None, source.splitlines(True), "<cell 1>")
    linecache.cache["<cell 1>"] = entry
    variables: dict[str, Any] = {"__name__": "cell"}
    exec(compile(source, "<cell 1>", "exec"), variables)
    data = pack_failure(caught(variables["cell"]))
    del linecache.cache["<cell 1>"]
    arrived = unpack_failure(data)
    assert "return 1 / 0" in "".join(traceback.format_tb(arrived.__traceback__))
    linecache.cache["<cell 1>"] = (1, None, ["mine\n"], "<cell 1>")
    unpack_failure(data)
    assert "mine\n" == linecache.getline("<cell 1>", 1)
    del linecache.cache["<cell 1>"]


def test_known_files_are_read_from_disk() -> None:
    """
    A file that the host can read itself is not replaced.
    """
    linecache.cache.pop(__file__, None)
    show_sources({__file__: "something else"})
    assert '"""\n' == linecache.getline(__file__, 1)


def test_odd_modules_are_no_obstacle() -> None:
    """
    A `__name__` that is no text and a loader that exits lose nothing but themselves.
    """

    def get_source(name: str) -> str:
        raise SystemExit

    names: tuple[Any, ...] = (5, [], None)
    for name in names:
        loader = SimpleNamespace(get_source=get_source)
        variables: dict[str, Any] = {"__name__": name, "__loader__": loader, "__file__": 7}
        exec(compile("def odd(): 1 / 0", "odd.py", "exec"), variables)
        trace = crossed(caught(variables["odd"]).__traceback__)
        assert "odd.py" == trace.tb_next.tb_frame.f_code.co_filename
        assert {"__name__": None, "__file__": None} == trace.tb_next.tb_frame.f_globals


def test_post_mortem_debugger_walks_the_frames() -> None:
    """
    `pdb.post_mortem` lists source, goes up and down and shows where it is.
    """
    output = io.StringIO()
    debugger = pdb.Pdb(
        stdin=io.StringIO("where\nup\ndown\nlist\np 1 + 1\nargs\nq\n"), stdout=output
    )
    debugger.reset()
    in_a_thread(lambda: debugger.interaction(None, crossed(caught().__traceback__)))
    told = output.getvalue()
    assert "->\t        print(1 + (2 / 0))" in told
    assert "\n(Pdb) 2\n" in told
    assert "Error" not in told


@pytest.mark.parametrize("style", ["long", "short", "line", "no", "native"])
def test_pytest_shows_the_frames(style: Any) -> None:
    """
    pytest's report shows the function's source with the line that failed.
    """
    arrived = unpack_failure(pack_failure(caught()))
    info = pytest.ExceptionInfo.from_exception(arrived)
    told = str(info.getrepr(style=style, showlocals=True))
    assert "ZeroDivisionError" in told
    assert style not in ("long", "short", "native") or "print(1 + (2 / 0))" in told


def test_tracers_see_no_line_of_the_rebuilt_frames() -> None:
    """
    A coverage measurement of the host counts no line of the worker's.
    """
    rows = [known.row for known in known_frames(caught().__traceback__)]
    seen = []

    def tracer(frame: FrameType, event: str, value: object) -> Any:
        seen.append((event, frame.f_code.co_name))
        return tracer

    def run() -> None:
        sys.settrace(tracer)
        rebuild_trace(rows)

    in_a_thread(run)
    assert ("line", "rebuild_trace") in seen
    assert ("line", "fail") not in seen


def test_rebuilt_tracebacks_make_no_garbage() -> None:
    """
    An exception that is dropped is gone at once, without the garbage collector.
    """

    class Watched(Exception):
        pass

    data = pack_failure(caught(Place().fail))
    gc.disable()
    try:
        arrived = unpack_failure(data)
        watched = Watched().with_traceback(arrived.__traceback__)
        gone = weakref.ref(watched)
        gc.collect()
        del arrived, watched
        assert gone() is None
        assert 0 == gc.collect()
    finally:
        gc.enable()


def test_tblib_makes_the_frames_where_locations_are_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a Python whose tables are not known, a frame has its file, name, line and module."""
    row = (
        "/somewhere/else.py",
        "task",
        "Class.task",
        3,
        7,
        (None,) * 4,
        "else",
        "/somewhere/else.py",
    )
    monkeypatch.setattr(stack, "_KNOWS_LOCATIONS", False)
    trace = stack.rebuild_trace([row, row])
    assert trace is not None
    assert trace.tb_next is not None
    assert 7 == trace.tb_lineno
    assert ("/somewhere/else.py", "task") == (
        trace.tb_frame.f_code.co_filename,
        trace.tb_frame.f_code.co_name,
    )
    assert "else" == trace.tb_next.tb_frame.f_globals["__name__"]
    text = "".join(traceback.format_tb(trace))
    assert 2 == text.count('File "/somewhere/else.py", line 7, in task')
    assert "^" not in text

"""
Turn tracebacks into rows of plain values, and such rows into tracebacks with real frames.

A row says where a frame stood, nothing of its variables: local variables never cross. Not for the
text of exceptions (`report`) and not for exceptions themselves. A changer must know that rows are
keys of a cache on the receiving side, so they hold nothing but strings, numbers and None.

`tblib` makes a frame by executing a `raise` in its name. It does so here wherever this Python's
table of locations is not known. Where it is, a frame is taken from a generator that never ran: no
tracer of the host (coverage, a debugger) sees a line of it run (3.11 shows it the call), the
columns under the carets survive, and it takes a tenth of the time. Either way the 1,000 frames of a
RecursionError are a flat list, and nothing is installed in `copyreg`.
"""

from __future__ import annotations

import sys
from itertools import islice
from types import CodeType, FrameType, FunctionType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import TypeAlias

    Position: TypeAlias = tuple[int | None, int | None, int | None, int | None]
    # file, name, qualified name, first line of the function, line, position, name and file of the
    # module
    Row: TypeAlias = tuple[str, str, str, int, int, Position, str | None, str | None]

# RecursionErrors have 1,000 frames; a program that raised its recursion limit to a million must
# not fill the host.
MAX_FRAMES = 4096
# A program that makes code as it runs (`exec` in a loop) must not fill the worker.
_MAX_KNOWN = 1024
_MAX_SOURCE_NBYTES = 65536


class KnownFrame:
    """
    Hold what is known of one place where a traceback passed.

    `source` is the whole file when only this process can tell it, because it was never on disk.
    """

    __slots__ = ("code", "row", "source", "text")

    def __init__(self, code: CodeType, row: Row, text: str, source: str | None) -> None:
        self.code = code
        self.row = row
        self.text = text
        self.source = source


# Keyed by the code's id, which cannot be used again while the entry holds the code. The text is
# kept because asking `traceback` for it is by far the dearest step of packing, and a task that
# raises usually raises where it did before. So the text of a place is that of its first failure,
# also when the file is edited meanwhile: then it is the more truthful one.
_known: dict[tuple[int, int, int, object], KnownFrame] = {}
_codes: dict[Row, CodeType] = {}
_shipped: dict[str, object] = {}


def drop_frames(trace: TracebackType | None, count: int) -> TracebackType | None:
    """
    Return the traceback without its `count` outermost frames.
    """
    while count > 0 and trace is not None:
        trace = trace.tb_next
        count -= 1
    return trace


def known_frames(trace: TracebackType | None) -> list[KnownFrame]:
    """
    List the frames of a traceback, the outermost first.
    """
    found = []
    while trace is not None:
        frame = trace.tb_frame
        key = (id(frame.f_code), trace.tb_lasti, trace.tb_lineno, frame.f_globals.get("__name__"))
        try:
            known = _known[key]
        except KeyError:
            known = _learn(key, trace)
        except TypeError:  # an unhashable __name__
            known = _describe(trace)
        found.append(known)
        trace = trace.tb_next
    if len(found) > MAX_FRAMES:
        del found[MAX_FRAMES // 2 : -MAX_FRAMES // 2]
    return found


def rebuild_trace(rows: Iterable[Row]) -> TracebackType | None:
    """
    Make a traceback of rows, the outermost first.
    """
    trace = None
    for row in reversed(tuple(rows)):
        frame = _generator_frame(row) if _KNOWS_LOCATIONS else _tblib_frame(row)
        # The first instruction of a generator's code has the position; tblib's has a wrong one, and
        # -1 stands for none.
        trace = TracebackType(trace, frame, 0 if _KNOWS_LOCATIONS else -1, row[4])
    return trace


def _generator_frame(row: Row) -> FrameType:
    code = _codes.get(row)
    if code is None:
        if len(_codes) >= _MAX_KNOWN:
            _codes.clear()
        code = _codes[row] = _stub_code(row)
    frame: FrameType = FunctionType(code, {"__name__": row[6], "__file__": row[7]})().gi_frame
    return frame


def _tblib_frame(row: Row) -> FrameType:
    from tblib import Traceback

    filename, name, _, _, line, _, module_name, module_file = row
    frame = {
        "f_code": {"co_filename": filename, "co_name": name},
        "f_globals": {"__name__": module_name, "__file__": module_file},
        "f_lineno": line,
    }
    alone = Traceback.from_dict({"tb_frame": frame, "tb_lineno": line, "tb_next": None})
    made: FrameType = alone.as_traceback().tb_frame
    return made


def show_sources(sources: dict[str, str]) -> None:
    """
    Let `linecache`, and so tracebacks and debuggers, know files that exist in a worker only.

    What the host itself knows under such a name (`<stdin>`, a notebook cell) stays.
    """
    import linecache

    for filename, source in sources.items():
        present = linecache.cache.get(filename)
        if present is not None and present is not _shipped.get(filename):
            continue
        if present is None and linecache.getlines(filename):
            continue
        if len(_shipped) >= _MAX_KNOWN:
            _forget_sources()
        # Without a time of modification `linecache.checkcache` leaves the entry alone.
        entry = (len(source), None, source.splitlines(True), filename)
        linecache.cache[filename] = _shipped[filename] = entry


def _forget_sources() -> None:
    import linecache

    # A copy, and no entry taken for granted: any thread of the host may unpack a failure.
    for filename in list(_shipped):
        entry = _shipped.pop(filename, None)
        if linecache.cache.get(filename) is entry:
            linecache.cache.pop(filename, None)


def _learn(key: tuple[int, int, int, object], trace: TracebackType) -> KnownFrame:
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    known = _known[key] = _describe(trace)
    return known


def _describe(trace: TracebackType) -> KnownFrame:
    import linecache
    import traceback

    frame = trace.tb_frame
    code = frame.f_code
    position: Position = next(
        islice(code.co_positions(), trace.tb_lasti // 2, None), (None, None, None, None)
    )
    name, file = (frame.f_globals.get(key) for key in ("__name__", "__file__"))
    row = (
        code.co_filename,
        code.co_name,
        code.co_qualname,
        code.co_firstlineno,
        # None where the compiler gave an instruction no line.
        trace.tb_lineno if type(trace.tb_lineno) is int else code.co_firstlineno,
        position,
        name if type(name) is str else None,
        file if type(file) is str else None,
    )
    try:
        alone = TracebackType(None, frame, trace.tb_lasti, trace.tb_lineno)
        text = "".join(traceback.format_tb(alone, limit=1))
    except BaseException:  # the loader of a module is the user's code
        text = f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}\n'
    return KnownFrame(code, row, text, _source_not_on_disk(linecache.cache.get(code.co_filename)))


def _source_not_on_disk(entry: object) -> str | None:
    # linecache keeps (size, time of modification, lines, path); the time is None for what a loader
    # or a notebook gave.
    if type(entry) is not tuple or len(entry) != 4 or entry[1] is not None:
        return None
    source = "".join(entry[2])
    return source if len(source) <= _MAX_SOURCE_NBYTES else None


def _never_run() -> Generator[None, None, None]:
    yield  # pragma: no cover  # as its name says: only its code object is of use


_STUB = _never_run.__code__
_STUB_UNITS = len(_STUB.co_code) // 2


def _stub_code(row: Row) -> CodeType:
    filename, name, qualname, first_line, line, position, _, _ = row
    return _STUB.replace(
        co_filename=filename,
        co_name=name,
        co_qualname=qualname,
        co_firstlineno=first_line,
        co_linetable=_location_table(first_line, line, position),
    )


def _location_table(first_line: int, line: int, position: Position) -> bytes:
    # The format is CPython's Objects/locations.md: an entry speaks for at most eight units of code.
    # Every unit gets the same place, so that `f_lineno`, `co_positions` and the C printer agree
    # whatever instruction they look at.
    start, end, column, end_column = position
    table = bytearray()
    for done in range(0, _STUB_UNITS, 8):
        n_units = min(8, _STUB_UNITS - done)
        # Code made by hand (templates, macros) may end before it starts.
        if start is None or end is None or column is None or end_column is None or end < start:
            table.append(0x80 | 13 << 3 | n_units - 1)
            table += _signed_varint(line - first_line)
        else:
            table.append(0x80 | 14 << 3 | n_units - 1)
            table += _signed_varint(start - first_line) + _varint(end - start)
            table += _varint(column + 1) + _varint(end_column + 1)
            line = start
        first_line = line
    return bytes(table)


def _varint(number: int) -> bytes:
    table = bytearray()
    while number >= 64:
        table.append(0x40 | number & 63)
        number >>= 6
    table.append(number)
    return bytes(table)


def _signed_varint(number: int) -> bytes:
    return _varint(-number << 1 | 1 if number < 0 else number << 1)


# The format of the tables is the same from 3.11 to 3.14; a later Python may change it.
_KNOWS_LOCATIONS = sys.implementation.name == "cpython" and sys.version_info < (3, 15)

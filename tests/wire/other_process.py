"""
A second interpreter that unpacks what it is sent, and sends something back.

For the promises that hold between two processes: whose class it is, what lasts there. Not a worker:
it has no link, no pool, and no error handling beyond sending the error. Whoever changes this must
keep `__main__` of the second process empty, as a worker's is.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.script import PACKAGE_ROOT
from webworker_executor.wire import codec, definition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

PROGRAM = f"""
import sys
sys.path.insert(0, {str(PACKAGE_ROOT)!r})
from tests.wire.other_process import serve
serve(to_host=sys.argv[1] == "to_host")
"""


def _write(file: Any, *parts: bytes) -> None:
    for part in parts:
        file.write(len(part).to_bytes(8, "little") + part)
    file.flush()


def _read(file: Any) -> bytes:
    data: bytes = file.read(int.from_bytes(file.read(8), "little"))
    return data


def serve(*, to_host: bool) -> None:
    """
    Answer calls until the input ends.
    """
    from webworker_executor.wire import variable

    known: dict[bytes, Any] = {}
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while ident := _read(source):
        packed_fn, shape, payload, *buffers = (
            _read(source) for _ in range(int.from_bytes(_read(source), "little"))
        )
        try:
            if packed_fn:
                known[ident] = codec.unpack(packed_fn)
            fn, args, kwargs, context = definition.unpack_call(
                shape[0], payload, buffers, known.get(ident)
            )
            if context is None:
                result = fn(*args, **kwargs)
            else:
                result = variable.run_in_context(context, fn, args, kwargs, lambda value: value)
        except Exception as error:
            result = error
        packed = codec.pack(result, to_host=to_host)
        copies: Any = packed.buffers  # none is lent here
        _write(sink, len(copies).to_bytes(8, "little"), packed.payload, *copies)


class OtherProcess:
    """
    Calls functions in a second interpreter.
    """

    def __init__(self, *, to_host: bool = True, fds: Sequence[int] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "to_host" if to_host else "sideways"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=fds,
        )
        self._known: set[int] = set()
        self.n_definitions = 0
        self.answer = b""

    def __call__(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """
        Call a function there.

        Returns:
            What it returned, or the exception that it raised.
        """
        defined, shape, packed = definition.pack_call(fn, args, kwargs)
        ident = 0 if defined is None else defined.ident
        packed_fn = b""
        if defined is not None and ident not in self._known:
            self._known.add(ident)
            packed_fn = defined.payload
            self.n_definitions += 1
        buffers: Any = packed.buffers  # none is lent here
        parts = (packed_fn, bytes([shape]), packed.payload, *buffers)
        head = ident.to_bytes(8, "little"), len(parts).to_bytes(8, "little")
        _write(self._process.stdin, *head, *parts)
        stdout = self._process.stdout
        n_buffers = int.from_bytes(_read(stdout), "little")
        self.answer = _read(stdout)
        return codec.unpack(self.answer, [_read(stdout) for _ in range(n_buffers)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10.0)
        assert self._process.stdout is not None
        self._process.stdout.close()

"""
A worker that runs a script: what is done once, from the first frame to the last.

``entry`` comes here when the first frame asks for a script instead of tasks. The order matters:
limits and user first, before any code of the user; then the script is loaded, and the host hears
that the worker is ready; then it runs from top to bottom; and only then are messages delivered.
"""

from __future__ import annotations

import posix
import sys

from webworker_executor.child import lifeline, surroundings
from webworker_executor.child.identity import LoopFinder, adopt
from webworker_executor.child.program import Program
from webworker_executor.child.report import hear_threads
from webworker_executor.child.scope import scope
from webworker_executor.child.turns import Turns
from webworker_executor.web import dispatch, uncaught
from webworker_executor.wire import codec
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import (
    CLOSING,
    DEFINE,
    LOAD_ERROR,
    OF_SCRIPT,
    OF_SURROUNDINGS,
    READY,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from webworker_executor.child.loop import Loop


def main(loop: Loop, control: _socket.socket, hello: dict[str, Any], host: int) -> None:
    """
    Be a worker until it closes or the host is done with it.

    Args:
        loop: Has the data link, and has read the first frame.
        control: The control link.
        hello: What the first frame says.
        host: The process id of whoever started this process.

    Raises:
        SystemExit: The script cannot be loaded, wants to end, or has failed and is to end then.
    """
    script = hello["script"]
    turns = Turns(loop, scope, ends_on_error=script["on_uncaught"] == "exit")
    lifeline.start(control, _give_nothing_back, turns.leave_soon, take=loop.desk.take)
    for end in (loop._data, control):
        # The links of this process are not for the programs it starts.
        posix.set_inheritable(end.fileno(), False)
    scope._turns = turns
    scope._href = script["href"]
    if scope.name:
        _name_process(scope.name)
    dispatch.install(turns.call)
    uncaught.install(turns.pass_on, turns.report)
    hear_threads(turns.report)
    LoopFinder(turns.report).install()
    _print_whole_lines()
    program = _load(loop, turns, hello, host)
    loop.post(encode(READY, 0), ())
    program.take_main()
    turns.program = program if script["kind"] != "callable" else None
    try:
        turns.perform(program.run)
        turns.adopt_handlers()
        turns.run()
    finally:
        turns.report_late()
    if turns.has_failed:
        raise SystemExit(1)
    loop.post(encode(CLOSING, 0), ())


def _print_whole_lines() -> None:
    """
    Let a line leave when it is written, wherever standard output leads.

    A worker lives on when its script is through: what is kept back for the end of the process, as
    Python does where there is no terminal, could be waited for for ever.
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        try:
            reconfigure(line_buffering=True)
        except ValueError:
            # Closed by the program that was forked.
            return


def _load(loop: Loop, turns: Turns, hello: dict[str, Any], host: int) -> Program:
    blamed = OF_SURROUNDINGS
    try:
        adopt(hello, hello["name"] or "WebWorker", loop)
        # Of its own; and nothing of `-c` is left.
        sys.modules["__main__"] = type(sys)("__main__")
        settings = hello["script"]["settings"]
        if settings["uid"] is not None:
            from webworker_executor.child.provisions import take_along

            take_along()
        surroundings.apply(settings, host)
        blamed = OF_SCRIPT
        scope.worker_data, call = _baggage(turns, has_witness=hello.get("has_witness", False))
        return Program(hello["script"], call, scope)
    except BaseException as error:
        from webworker_executor.wire.failure import pack_failure

        failure = pack_failure(error, uncaught.own_frames(error.__traceback__))
        loop.post(encode(LOAD_ERROR, blamed, failure), ())
        raise SystemExit(1) from None


def _baggage(turns: Turns, *, has_witness: bool) -> Any:
    """Unpack what the user gave along: the second frame, since it may hold descriptors."""
    frame = turns.take_over()
    assert frame.kind == DEFINE, frame
    fds: Any = frame.fds
    if has_witness:
        from webworker_executor.child.witness import testify

        fds, last = fds[:-1], fds[-1]
        testify(last.take())
    return codec.unpack(frame.payload, frame.buffers, fds)


def _name_process(name: str) -> None:
    """Have the kernel show a worker's name as its process's, at most 15 bytes of it."""
    try:
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(name.encode("utf-8", "replace")[:15])
    except OSError as error:
        sys.stderr.write(f"webworker: the process cannot be named {name!r}: {error}\n")


def _give_nothing_back(count: int) -> None:
    """Give back no task: there are none."""

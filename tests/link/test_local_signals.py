"""
Tests of `webworker_executor.link.local`: signal handlers that raise or post while the link works.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.script import ScriptRunner

# In a program of its own: the timer that pytest-timeout stands on is the one that is needed here.
PROGRAM = """
import itertools, json, signal, socket, sys, threading
from webworker_executor.link.local import Link
from webworker_executor.link.reactor import Reactor
from webworker_executor.wire.decoder import FrameDecoder, PREFIXES
from webworker_executor.wire.kinds import (CALL, CLOSE, MESSAGE, NAMES)
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import (encode)

how, n_frames, sndbuf, shape = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
ALL = frozenset(NAMES)
near, far = socket.socketpair()
if sndbuf:
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
received = []
errors = []

def read():
    decoder = FrameDecoder(ALL)
    try:
        while True:
            for frame in decoder.feed(far.recv(1 << 16)):
                if frame.kind == CLOSE:
                    return
                assert {frame.ident % 256} >= set(bytes(frame.payload[:1])), frame
                received.append((frame.kind, frame.ident))
    except Exception as error:
        errors.append(repr(error))
        far.close()

reactor = Reactor()
reactor.start()
link = Link(near, reactor, ALL, lambda frame: None, lambda error: None)
reader = threading.Thread(target=read, daemon=True)
reader.start()

class Stop(Exception):
    pass

def parts(kind, ident):
    fill = bytes([ident % 256])
    if shape == "small":
        return encode(kind, ident, fill * 100)
    prefix = fill * PREFIXES.get(kind, 0)
    if shape == "buffers":
        return encode(kind, ident, fill * 100, [fill * 30, fill * 3], prefix)
    return encode(kind, ident, fill * 20_000, [fill * 150_000], prefix)

n_raised = n_caught = depth = 0
may_raise = False
numbers = itertools.count(1)

def handler(*_):
    global n_raised, may_raise, depth
    if how == "post":
        # The next signal may come before this handler is done; on a loaded machine they would
        # fill the stack.
        if depth < 10:
            depth += 1
            # One call, for the same reason.
            ident = next(numbers)
            link.post(parts(MESSAGE, ident))
            link.flush()
            depth -= 1
        return
    if not may_raise:
        return
    # Once for each time that the program stands where it can catch it.
    may_raise = False
    n_raised += 1
    raise {"stop": Stop, "timeout": TimeoutError, "blocking": BlockingIOError,
           "pipe": BrokenPipeError}[how]

accepted = []
attempt = 0
def send():
    global attempt, may_raise
    may_raise = True
    while attempt < n_frames:
        attempt += 1
        link.post(parts(CALL, attempt))
        accepted.append(attempt)
        link.flush()
    may_raise = False

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
while attempt < n_frames:
    try:
        send()
    except (Stop, OSError):
        n_caught += 1
signal.setitimer(signal.ITIMER_REAL, 0)
# Not SIG_IGN: of a last signal that is on its way Python would say that it ignored it.
signal.signal(signal.SIGALRM, lambda *_: None)
link.post(encode(CLOSE, 0))
link.flush()
reader.join(20)
link.close()
reactor.stop()
messages = [ident for kind, ident in received if kind == MESSAGE]
calls = [ident for kind, ident in received if kind == CALL]
print(json.dumps({
    "errors": errors,
    "swallowed": n_raised - n_caught,
    "lost": sorted(set(accepted) - set(calls))[:5],
    "doubled": len(calls) - len(set(calls)),
    "in order": calls == sorted(calls),
    "messages": sorted(messages) == list(range(1, next(numbers))),
    "ended": not reader.is_alive(),
}))
far.close()
"""

GOOD = {
    "errors": [],
    "swallowed": 0,
    "lost": [],
    "doubled": 0,
    "in order": True,
    "messages": True,
    "ended": True,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "n_frames", "sndbuf"),
    [("small", 20_000, 0), ("buffers", 10_000, 0), ("buffers", 5_000, 4096), ("large", 200, 0)],
)
@pytest.mark.parametrize("how", ["stop", "timeout", "blocking", "pipe", "post"])
def test_signals_while_frames_are_sent(
    run_script: ScriptRunner, how: str, shape: str, n_frames: int, sndbuf: int
) -> None:
    """
    A handler gets its error through, and no frame is lost, doubled, torn or out of order by it.
    """
    done = run_script(PROGRAM, how, str(n_frames), str(sndbuf), shape)
    assert "" == done.stderr
    assert GOOD == json.loads(done.stdout)

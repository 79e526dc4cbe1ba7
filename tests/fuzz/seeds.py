"""
Bytes to begin with: what is really sent, and what was found before.
"""

from __future__ import annotations

from pathlib import Path

from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import CALL, MESSAGE, READY, RESULT
from webworker_executor.wire.place import Place, lay_out
from webworker_executor.wire.plain import FROM_WORKER, encode_plain

CORPUS = Path(__file__).parent / "corpus"


def seeds_of(target: str) -> list[bytes]:
    """
    List inputs for a target, each with the byte that says how the rest is cut where it wants one.
    """
    found = [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]
    return [*_sent(target), *found]


def _sent(target: str) -> list[bytes]:
    if target == "frames":
        place = [Place(7, 4096, 200_000)]
        stream = [
            encode(READY, 0, b"payload"),
            encode(MESSAGE, 1, b"x" * 40, [b"buffer" * 9, b""]),
            encode(RESULT, 2, b"answer", [b"of a task"], prefix=bytes(4)),
            encode(CALL, 3, b"arguments", prefix=bytes(5)),
            encode(MESSAGE, 4, b"elsewhere", place),
        ]
        joined = [b"".join(map(bytes, parts)) for parts in stream]
        return [bytes([step]) + data for step in (0, 1, 7) for data in [*joined, b"".join(joined)]]
    if target == "plain":
        messages = b"".join(map(encode_plain, (b"", b"one", bytes(300))))
        return [bytes([step]) + FROM_WORKER + messages for step in (0, 1, 5)]
    if target == "places":
        return [lay_out(b"", b"pickle", [Place(1, 0, 10), Place(1, 16, 20)])]
    thread = 'Thread 0x00007f0000000001 (most recent call first):\n  File "x.py", line 1 in f\n'
    return [("Fatal Python error: Aborted\n\n" + thread + thread).encode()]

"""
Many calls at once by ``submit``: how many a second, and what they cost the program's own processor.
"""

from __future__ import annotations

import os
import pickle
import socket
from struct import Struct
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import add, nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contender import Contender

_LENGTH = Struct("<I")
# The most that a pool could send at once without making a task wait for others.
_BATCH = 256


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Submit all, then wait for all, oldest first."""
    n_tasks = 1_000 if quick else 20_000
    with contender.make(2) as face:
        face.warm_up()
        submit = face.submit
        face.wait_for_all([submit(nothing) for _ in range(500)])
        began, cpu = perf_counter(), process_time()
        face.wait_for_all([submit(nothing) for _ in range(n_tasks)])
        yield "submit-noop", n_tasks / (perf_counter() - began)
        yield "submit-cpu", 1e3 * (process_time() - cpu) * 10_000 / n_tasks
        face.wait_for_all([submit(add, number, 1) for number in range(500)])
        began = perf_counter()
        face.wait_for_all([submit(add, number, 1) for number in range(n_tasks)])
        yield "submit-add", n_tasks / (perf_counter() - began)


def limit(quick: bool) -> Iterator[tuple[str, float]]:
    """Send frames in batches made by hand, and read the answers one batch behind."""
    n_batches = (1_000 if quick else 20_000) // _BATCH
    near, far = socket.socketpair()
    pid = os.fork()
    if not pid:
        near.close()
        _answer(far)
    far.close()
    for key, fn in (("submit-noop", nothing), ("submit-add", add)):
        began, cpu = perf_counter(), process_time()
        _exchange(near, fn, n_batches)
        n_tasks = n_batches * _BATCH
        yield key, n_tasks / (perf_counter() - began)
        if fn is nothing:
            yield "submit-cpu", 1e3 * (process_time() - cpu) * 10_000 / n_tasks
    near.close()
    os.waitpid(pid, 0)


def _exchange(near: socket.socket, fn: Any, n_batches: int) -> None:
    unread = b""
    for number in range(n_batches + 1):
        if number < n_batches:
            calls = ((fn, () if fn is nothing else (item, 1)) for item in range(_BATCH))
            near.sendall(b"".join(_frame(call) for call in calls))
        if number:
            results, unread = _receive_batch(near, unread)
            for result in results:
                pickle.loads(result)


def _answer(far: socket.socket) -> None:
    unread = b""
    while True:
        calls, unread = _receive_batch(far, unread)
        if not calls:
            os._exit(0)
        answers = []
        for call in calls:
            fn, args = pickle.loads(call)
            answers.append(_frame(fn(*args)))
        far.sendall(b"".join(answers))


def _frame(value: object) -> bytes:
    data = pickle.dumps(value)
    return _LENGTH.pack(len(data)) + data


def _receive_batch(end: socket.socket, unread: bytes) -> tuple[list[bytes], bytes]:
    """Return the payloads of one batch, none at the end of the stream, and what came after it."""
    payloads: list[bytes] = []
    position = 0
    while len(payloads) < _BATCH:
        stop = position + 4
        if len(unread) >= stop:
            stop += _LENGTH.unpack_from(unread, position)[0]
        if len(unread) >= stop > position + 4:
            payloads.append(unread[position + 4 : stop])
            position = stop
            continue
        data = end.recv(1 << 16)
        if not data:
            return [], b""
        unread, position = unread[position:] + data, 0
    return payloads, unread[position:]


WORKLOAD = Workload(
    metrics=(
        Metric("submit-noop", "submit(noop)", "tasks/s", more_is_better=True),
        Metric("submit-add", "submit(add, i, 1)", "tasks/s", more_is_better=True),
        Metric("submit-cpu", "the program's CPU time for 10k tasks", "ms"),
    ),
    measure=measure,
    limit=limit,
    needs="submit",
)

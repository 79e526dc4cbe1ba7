"""
What worker-process promises of a start, of raw bytes and of an end; the numbers are those of the
catalogue.
"""

from __future__ import annotations

import math
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.listening import SECONDS, Ear
from tests.patience import Stopwatch, wait_until
from webworker_executor import (
    DataCloneError,
    HandshakeError,
    HandshakeTimeoutError,
    InvalidStateError,
    MaxDurationError,
    Worker,
    WorkerStartError,
)
from webworker_executor.wire import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.script import ScriptRunner

# A process takes a tenth of a second to start and to end.
pytestmark = pytest.mark.slow

ECHO = """
import webworker_executor
connection = webworker_executor.connect()
for event in connection:
    connection.send(event.data)
"""


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """
    Write a script of the raw profile that sends back what it gets.
    """
    path = tmp_path / "echo.py"
    path.write_text(ECHO)
    return path


@pytest.fixture(autouse=True)
def find_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let plain interpreters import the package.
    """
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def failure_of(*, handshake_timeout: float = SECONDS, command: list[str]) -> BaseException:
    """
    Start a program that is no worker, and return why it failed when its process is gone.
    """
    with Stopwatch() as watch:
        started = time.monotonic()
        ear = Ear(lambda: Worker(command=command, handshake_timeout=handshake_timeout))
        worker = ear.worker
        error = worker.ready.exception(SECONDS)
        assert error is not None
        assert error is worker.lifetime.exception(SECONDS)
        assert watch.since(started) < 10.0
    assert "error" == ear.next().type
    assert ["close", "exit"] == [event.type for event in ear.to_the_end()]
    if worker.pid is not None:
        assert not Path(f"/proc/{worker.pid}").exists()
    return error


def shell(text: str) -> list[str]:
    return ["sh", "-c", text]


def test_case_103_the_program_does_not_exist(tmp_path: Path) -> None:
    """
    There is no process, and the error says which program was meant.
    """
    missing = str(tmp_path / "no" / "program")
    error = failure_of(command=[missing])
    assert isinstance(error, WorkerStartError)
    assert missing in str(error)
    worker = Worker("script.py", executable=missing)
    assert isinstance(worker.ready.exception(SECONDS), WorkerStartError)


@pytest.mark.parametrize("status", [0, 1])
def test_case_103_it_exits_at_once(status: int) -> None:
    """
    The error has the status with which a program ended that had not said that it is a worker.
    """
    error = failure_of(command=shell(f"exit {status}"))
    assert isinstance(error, HandshakeError)
    assert ("exited", status) == (error.reason, error.exitcode)
    assert f"exited with status {status} before it was ready" in str(error)


def test_case_103_it_closes_its_channel() -> None:
    """
    A program that closes descriptor 3 and runs on is stopped.
    """
    error = failure_of(command=shell("exec 3>&-; exec sleep 60"))
    assert isinstance(error, HandshakeError)
    assert "closed" == error.reason


def test_case_103_it_answers_something_else() -> None:
    """
    A program whose first byte is another one is stopped at once.
    """
    error = failure_of(command=shell("printf hello >&3; exec sleep 60"))
    assert isinstance(error, HandshakeError)
    assert "mismatch" == error.reason
    assert "the first byte is b'h', not b'\\x01'" in str(error)


def test_case_103_it_stays_silent() -> None:
    """
    A program that says nothing is stopped when the time is over.
    """
    error = failure_of(command=["sleep", "60"], handshake_timeout=0.2)
    assert isinstance(error, HandshakeTimeoutError)
    assert isinstance(error, TimeoutError)
    assert "timeout" == error.reason


@pytest.mark.parametrize("option", ["handshake_timeout", "max_duration"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(-1, ValueError), (math.nan, ValueError), ("1", TypeError), (True, TypeError)],
)
def test_case_104_times_are_checked_at_the_call(option: str, value: Any, error: type) -> None:
    """
    A time that is negative or no number is refused before anything is started.
    """
    options: dict[str, Any] = {option: value}
    with pytest.raises(error, match=option):
        Worker(source="", **options)


def test_case_104_no_time_limit_at_all(echo: Path) -> None:
    """
    0 means that there is no limit.
    """
    with Worker(echo, codec="raw", handshake_timeout=0, max_duration=0) as worker:
        assert None is worker.ready.result(SECONDS)


def test_case_106_connect_in_a_plain_program(run_script: ScriptRunner) -> None:
    """
    Where no parent has made the process a worker, ``connect`` says so.
    """
    done = run_script(
        "import os, webworker_executor\n"
        "try:\n    os.close(3)\nexcept OSError:\n    pass\n"
        "try:\n    webworker_executor.connect()\n"
        "except webworker_executor.NotAWorkerError as error:\n    print(error)\n"
        "os.dup2(os.open('/dev/null', os.O_RDONLY), 3)\n"
        "try:\n    webworker_executor.connect()\n"
        "except webworker_executor.NotAWorkerError as error:\n    print(error)\n"
    )
    assert "" == done.stderr
    text = "descriptor 3 is no socket, so no parent has made this process a worker."
    assert [text, text] == [line[: len(text)] for line in done.stdout.splitlines()]


def test_case_106_connect_twice(tmp_path: Path) -> None:
    """
    A process connects once.
    """
    script = tmp_path / "twice.py"
    script.write_text(
        "import webworker_executor\n"
        "connection = webworker_executor.connect()\n"
        "try:\n    webworker_executor.connect()\n"
        "except webworker_executor.InvalidStateError as error:\n"
        "    connection.send(str(error).encode())\n"
        "connection.receive()\n"
    )
    with Worker(script, codec="raw") as worker:
        assert worker.receive(SECONDS).data.startswith(b"connect() was called before")


def test_case_40_a_message_longer_than_a_frame_can_say(
    echo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    In the raw profile a frame is all there is: too long a message is refused, and no other harmed.
    """
    monkeypatch.setattr(plain, "MAX_NBYTES", 1000)
    with Worker(echo, codec="raw") as worker:
        for send in (worker.send_bytes, worker.post_message):
            with pytest.raises(ValueError, match="1001 bytes in one message; at most 1000 can go"):
                send(bytes(1001))
        worker.send_bytes(bytes(1000)).result(SECONDS)
        assert bytes(1000) == worker.receive(SECONDS).data


def test_case_107_bytes_both_ways(echo: Path) -> None:
    """
    Messages of any length arrive whole and in order, one of no bytes without any after it.
    """
    with Worker(echo, codec="raw") as worker:
        for message in (b"first", b"", bytes(3_000_000), bytearray(b"last"), b""):
            worker.send_bytes(message)
            assert bytes(message) == worker.receive(SECONDS).data
        worker.post_message(b"as any worker")
        assert b"as any worker" == worker.receive(SECONDS).data


def test_case_107_futures_resolve_in_order(echo: Path) -> None:
    """
    Each resolves when the kernel has taken the message, in the order of the calls.
    """
    order: list[int] = []
    with Worker(echo, codec="raw") as worker:
        futures = [worker.send_bytes(bytes(50_000)) for _ in range(20)]
        for number, future in enumerate(futures):
            future.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]  # bound early
        assert [None] * 20 == [future.result(SECONDS) for future in futures]
        for _ in range(20):
            worker.receive(SECONDS)
    assert sorted(order) == order


def test_case_107_bytes_only(echo: Path) -> None:
    """
    Text is refused at the call, and so is everything once the worker has ended.
    """
    with Worker(echo, codec="raw") as worker:
        with pytest.raises(TypeError, match="not str"):
            worker.send_bytes("text")  # type: ignore[arg-type]  # what is tested
        with pytest.raises(TypeError, match="not dict"):
            worker.post_message({})
    with pytest.raises(InvalidStateError, match="has ended"):
        worker.send_bytes(b"too late")


def test_case_107_bytes_to_a_worker_that_takes_values() -> None:
    """
    There is one way to talk to each kind of worker.
    """
    with Worker(source="") as worker, pytest.raises(TypeError, match="use post_message"):
        worker.send_bytes(b"bytes")


JSON_ECHO = """
import webworker_executor
connection = webworker_executor.connect("json")
for event in connection:
    try:
        connection.send(event.data)
    except webworker_executor.DataCloneError as error:
        connection.send(str(error))
"""


@pytest.fixture
def json_worker(tmp_path: Path) -> Iterator[Worker]:
    """
    Run a script that sends back what it gets, in JSON.
    """
    path = tmp_path / "json_echo.py"
    path.write_text(JSON_ECHO)
    with Worker(path, codec="json") as worker:
        yield worker


def test_case_49_msgpack_carries_bytes_as_well(tmp_path: Path) -> None:
    """
    The same channel with another codec, which both sides name.
    """
    pytest.importorskip("msgpack")
    path = tmp_path / "msgpack_echo.py"
    path.write_text(JSON_ECHO.replace("json", "msgpack"))
    with Worker(path, codec="msgpack") as worker:
        for value in (None, [1, b"\x00", {2: 3.5}], {"a": (1, 2)}):
            worker.post_message(value)
        came = [worker.receive(SECONDS).data for _ in range(3)]
        assert [None, [1, b"\x00", {2: 3.5}], {"a": [1, 2]}] == came
        with pytest.raises(DataCloneError, match="MessagePack"):
            worker.post_message({1})
        with pytest.raises(DataCloneError, match="takes MessagePack"):
            worker.post_message(1, [bytearray(1)])
        with pytest.raises(TypeError, match="takes values in MessagePack"):
            worker.send_bytes(b"x")


def test_case_49_json_carries_what_json_has(json_worker: Worker) -> None:
    """
    Values of every kind that JSON knows come back as they were, in order.
    """
    values: list[Any] = [
        None,
        True,
        0,
        -1.5,
        2**53,
        "",
        "a\0\u00e4\ud800",
        [],
        {},
        {"b": [1, {"a": None}]},
    ]
    for value in values:
        json_worker.post_message(value)
    assert values == [json_worker.receive(SECONDS).data for _ in values]
    json_worker.post_message((1, 2))
    assert [1, 2] == json_worker.receive(SECONDS).data


def test_case_49_json_refuses_what_it_would_change(json_worker: Worker) -> None:
    """
    A cycle, a callable, NaN, a key that is no text: an error in the sender, and nothing is sent.
    """
    cycle: list[Any] = []
    cycle.append(cycle)
    for wrong in (cycle, [print], {"x": math.nan}, {1: 2}, b"bytes", object()):
        with pytest.raises(DataCloneError, match="cannot be sent as JSON"):
            json_worker.post_message(wrong)
    with (
        socket.socket() as given,
        pytest.raises(DataCloneError, match="nothing can be transferred"),
    ):
        json_worker.post_message("take", [given])
    with pytest.raises(TypeError, match="takes values in JSON"):
        json_worker.send_bytes(b"x")
    json_worker.post_message("the only one")
    assert "the only one" == json_worker.receive(SECONDS).data


def test_case_49_what_a_foreign_program_says_is_only_read() -> None:
    """
    What is no JSON is a messageerror, and a pickle is no more than that: no code of it runs.
    """
    pickled = pickle.dumps(Unpickled())
    code = (
        "import os; os.read(3, 1); os.write(3, b'\\1')\n"
        f"for text in (b'{{\"a\": 1}}', b'NaN', {pickled!r}, b'2'):\n"
        "    os.write(3, len(text).to_bytes(4, 'big') + text)\n"
    )
    worker = Worker(command=[sys.executable, "-S", "-c", code], codec="json")
    events = Ear(worker).to_the_end()
    types = ["message", "messageerror", "messageerror", "message", "close", "exit"]
    assert types == [event.type for event in events]
    assert ({"a": 1}, None, None, 2) == tuple(event.data for event in events[:4])
    assert isinstance(events[1].error, ValueError)


class Unpickled:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_case_109_a_parent_that_vanishes(echo: Path) -> None:
    """
    A worker whose parent is gone without a word exits with 1, though its main thread is busy.
    """
    busy = "import webworker_executor\nwebworker_executor.connect()\nwhile True: pass\n"
    echo.write_text(busy)
    near, far = socket.socketpair()
    with far:
        # Any parent: not ours, and so nothing but the channel tells.
        code = f"import os, sys; os.dup2({far.fileno()}, 3); os.execv(sys.executable, sys.argv)"
        command = [sys.executable, "-c", code, str(echo)]
        worker = subprocess.Popen(command, pass_fds=[far.fileno()])
    with worker:
        with near:
            near.sendall(b"\0")
            near.settimeout(SECONDS)
            assert b"\1" == near.recv(1)
        wait_until(lambda: worker.poll() is not None, 1.0)
        assert 1 == worker.returncode


def test_case_110_max_duration() -> None:
    """
    When the time is over the worker is stopped, and its lifetime says why.
    """
    started = time.monotonic()
    worker = Worker(source="while True: pass", max_duration=0.5)
    assert None is worker.ready.result(SECONDS)
    wait_until(worker.lifetime.done, 2.0)
    assert time.monotonic() - started > 0.5
    with pytest.raises(MaxDurationError, match=r"the 0\.5 s that max_duration allows"):
        worker.lifetime.result(0)
    assert -signal.SIGTERM == worker.exited.result(SECONDS)


def test_a_foreign_program_dies_with_its_host(tmp_path: Path) -> None:
    """
    One that does not look at its channel is gone as well when the host is killed.
    """
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\n"
        "from webworker_executor import Worker\n"
        "worker = Worker(command=['sh', '-c', 'printf \"\\\\1\" >&3; exec sleep 60'])\n"
        "worker.ready.result(20)\n"
        "print(worker.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    host = subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with host:
        assert host.stdout is not None
        pidfd = os.pidfd_open(int(host.stdout.readline()))
        host.kill()
    assert [pidfd] == select.select([pidfd], [], [], SECONDS)[0]
    os.close(pidfd)

"""
Tests of `webworker_executor.web.raw`: any program, and messages that are bytes.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.conformance.listening import SECONDS, Ear
from tests.pool.conftest import gate as gate
from webworker_executor import InvalidStateError, ProtocolError, Worker
from webworker_executor.launch.spawn import PACKAGE_ROOT
from webworker_executor.web.life import Life
from webworker_executor.web.raw import RawLife

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dropin.gate import Gate

# No package of ours: what any language can do.
ECHO = """
import os
def read(nbytes):
    data = b""
    while len(data) < nbytes:
        more = os.read(3, nbytes - len(data))
        if not more:
            os._exit({status})
        data += more
    return data
assert read(1) == b"\\0"
os.write(3, b"\\1")
while True:
    length = read(4)
    os.write(3, length + read(int.from_bytes(length, "big")))
"""


def echo(status: int = 0) -> list[str]:
    return [sys.executable, "-S", "-c", ECHO.format(status=status)]


def test_a_program_without_the_package() -> None:
    """
    It greets, echoes, and leaves when its channel ends.
    """
    worker = Worker(command=echo(), name="echo")
    ear = Ear(worker)
    for data in (b"first", b"", b"last"):
        worker.send_bytes(data).result(SECONDS)
    assert [b"first", b"", b"last"] == ear.data(3)
    assert 0 == worker.buffered_amount
    assert 0 == worker.terminate().result(SECONDS)
    assert ["exit"] == [event.type for event in ear.to_the_end()]


def test_argv_follows_the_command() -> None:
    """
    Arguments may be given apart.
    """
    code = "import os, sys; os.read(3, 1); os.write(3, b'\\1\\0\\0\\0\\1' + sys.argv[1].encode())"
    worker = Worker(command=[sys.executable, "-S", "-c", code], argv=["x"])
    assert b"x" == worker.receive(SECONDS).data
    worker.exited.result(SECONDS)


def test_a_maker_whose_own_channel_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    A script connects to its maker, whatever descriptor that one was told to use itself.
    """
    monkeypatch.setenv("WEBWORKER_FD", "20")
    path = tmp_path / "script.py"
    path.write_text("from webworker_executor import connect\nconnect().send(b'up')")
    worker = Worker(path, codec="raw", env={"PYTHONPATH": PACKAGE_ROOT})
    assert b"up" == worker.receive(SECONDS).data
    worker.exited.result(SECONDS)


def test_garbage_after_the_greeting() -> None:
    """
    A claim of four gigabytes is the end of that program.
    """
    worker = Worker(command=["sh", "-c", "printf '\\1\\377\\377\\377\\377' >&3; exec sleep 60"])
    ear = Ear(worker)
    assert None is worker.ready.result(SECONDS)
    assert isinstance(worker.lifetime.exception(SECONDS), ProtocolError)
    assert isinstance(ear.next().error, ProtocolError)


def test_bytes_that_never_went() -> None:
    """
    A program that ends without having read lets their futures fail.
    """
    worker = Worker(command=["sh", "-c", "printf '\\1' >&3; sleep 0.2"])
    Ear(worker)
    worker.ready.result(SECONDS)
    future = worker.send_bytes(bytes(5_000_000))
    with pytest.raises(InvalidStateError, match="ended before it took this message"):
        future.result(SECONDS)


def test_nothing_but_bytes() -> None:
    """
    Neither ports nor descriptors can go.
    """
    with Worker(command=echo()) as worker:
        with pytest.raises(TypeError, match="nothing can be transferred"):
            worker.post_message(b"", fds=[0])
        with pytest.raises(TypeError, match="takes bytes, not int"):
            worker.post_message(5)


def test_a_program_that_closed_its_channel_may_tidy_up(
    monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    """
    For long, unlike a worker of ours, which says goodbye: its end is as it should be.
    """
    seen = threading.Event()

    def ended(life: RawLife, error: Exception | None) -> None:
        Life._channel_ended(life, error)
        seen.set()

    monkeypatch.setattr(Life, "_closing_seconds", 0.0)
    monkeypatch.setattr(RawLife, "_channel_ended", ended)
    code = "import os, sys; os.read(3, 1); os.write(3, b'\\1'); os.close(3); open(sys.argv[1])"
    worker = Worker(command=[sys.executable, "-S", "-c", code], argv=[gate.path])
    assert seen.wait(SECONDS)
    gate.open()
    assert None is worker.lifetime.result(SECONDS)


def test_a_program_that_ends_within_a_message() -> None:
    """
    The message is lost, which is told, though its status is 0.
    """
    code = "import os; os.read(3, 1); os.write(3, b'\\1\\0\\0\\0\\5half')"
    worker = Worker(command=[sys.executable, "-S", "-c", code])
    with pytest.raises(ProtocolError, match="ended in the middle of a message, which is lost"):
        worker.lifetime.result(SECONDS)
    assert 0 == worker.exited.result(SECONDS)

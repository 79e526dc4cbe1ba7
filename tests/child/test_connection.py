"""
Tests of `webworker_executor.child.connection`: the worker's side of the raw profile.

Each program runs under a parent that is no `Worker` of ours, but a socket.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from webworker_executor import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 20.0
BEGIN = "import os, sys\nfrom webworker_executor import connect\n"


@contextmanager
def parent_of(program: str, fd: int = 3) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """
    Run a program with a socket on a descriptor, and be its parent.
    """
    near, far = socket.socketpair()
    near.settimeout(SECONDS)
    place = f"import os, sys; os.dup2({far.fileno()}, {fd}); os.execv(sys.executable, sys.argv)"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "WEBWORKER_FD": str(fd),
    }
    with far:
        process = subprocess.Popen(
            [sys.executable, "-c", place, "-c", BEGIN + program],
            pass_fds=[far.fileno()],
            env=environment,
            stderr=subprocess.PIPE,
        )
    with process, near:
        yield near, process


def read(near: socket.socket, nbytes: int) -> bytes:
    data = b""
    while len(data) < nbytes and (more := near.recv(nbytes - len(data))):
        data += more
    return data


@pytest.mark.parametrize("fd", [3, 7])
def test_both_ways(fd: int) -> None:
    """
    After the greeting each side may send; what came with the greeting is not lost.
    """
    program = "connection = connect()\nfor event in connection: connection.send(event.data * 2)"
    with parent_of(program, fd) as (near, process):
        near.sendall(b"\0\0\0\0\2ab\0\0\0\0")
        assert b"\1\0\0\0\4abab\0\0\0\0" == read(near, 13)
        near.sendall(b"\0\0\0\1c")
        assert b"\0\0\0\2cc" == read(near, 6)
        process.kill()


def test_its_number_is_not_handed_on() -> None:
    """
    Once it is connected, what a worker starts knows nothing of where its channel is.
    """
    program = "connect().send(repr(os.environ.get('WEBWORKER_FD')).encode())"
    with parent_of(program, 7) as (near, process):
        near.sendall(b"\0")
        assert b"\1\0\0\0\4None" == read(near, 9)
        process.kill()


def test_values_in_json() -> None:
    """
    Asked for, messages are values; what JSON has not is refused, and what is none is told.
    """
    program = """
from webworker_executor import DataCloneError
connection = connect("json")
connection.send(connection.receive().data)
try:
    connection.post_message({1, 2})
except DataCloneError:
    connection.post_message(["refused"])
try:
    connection.receive()
except ValueError:
    connection.send("no JSON")
connection.finish()
"""
    with parent_of(program) as (near, process):
        near.sendall(b'\0\0\0\0\x09{"a": []}\0\0\0\1?')
        expected = b'\1\0\0\0\x08{"a":[]}\0\0\0\x0b["refused"]\0\0\0\x09"no JSON"'
        assert expected == read(near, len(expected))
        assert 0 == process.wait(SECONDS)


def test_a_codec_that_is_none() -> None:
    """
    Wrong use is told before anything is read.
    """
    with pytest.raises(ValueError, match="codec must be 'raw', 'json' or 'msgpack', not 'xml'"):
        connect("xml")


def test_finish_is_an_end_in_order() -> None:
    """
    What was sent arrives, then the end; later sends are refused, and the process exits with 0.
    """
    program = """
connection = connect()
connection.post_message(b"last")
connection.finish()
connection.finish()
try:
    connection.send(b"late")
except Exception as error:
    sys.exit(0 if type(error).__name__ == "InvalidStateError" else 5)
"""
    with parent_of(program) as (near, process):
        near.sendall(b"\0")
        assert b"\1\0\0\0\4last" == read(near, 9)
        assert b"" == near.recv(1)
        assert 0 == process.wait(SECONDS)


def test_handlers() -> None:
    """
    A handler gets the messages; only bytes can be sent, and nothing transferred.
    """
    program = """
import threading
done = threading.Event()
connection = connect()
def answer(event):
    for wrong in (lambda: connection.send("text"), lambda: connection.post_message(b"", fds=[0])):
        try:
            wrong()
        except TypeError:
            connection.send(event.data)
    done.set()
connection.onmessage = answer
done.wait(20)
connection.finish()
"""
    with parent_of(program) as (near, process):
        near.sendall(b"\0\0\0\0\1x")
        assert b"\1" + b"\0\0\0\1x" * 2 == read(near, 11)
        assert 0 == process.wait(SECONDS)


@pytest.mark.parametrize(
    ("said", "text"),
    [(b"WWP1", b"does not speak the raw profile"), (b"", b"closed the channel at once")],
)
def test_a_parent_that_speaks_something_else(said: bytes, text: bytes) -> None:
    """
    It is told, and nothing is answered.
    """
    with parent_of("connect()") as (near, process):
        near.sendall(said)
        near.shutdown(socket.SHUT_WR)
        assert b"" == near.recv(1)
        assert process.stderr is not None
        assert text in process.stderr.read()


@pytest.mark.parametrize("end", ["close", "garbage"])
def test_a_parent_that_is_gone(end: str) -> None:
    """
    The process exits with 1, whatever its main thread does.
    """
    with parent_of("connect()\nwhile True: pass") as (near, process):
        near.sendall(b"\0")
        assert b"\1" == near.recv(1)
        if end == "garbage":
            near.sendall(b"\xff" * 8)
        else:
            near.close()
        assert 1 == process.wait(SECONDS)

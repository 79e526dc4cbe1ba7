"""
Tests of `webworker_executor.web.movable`: the standard library's things are given away.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor import DataCloneError, MessageChannel, structured_clone

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 10.0


def test_a_socket_is_duplicated_or_moved() -> None:
    """Both copies of an unlisted socket work; of a listed one only the new."""
    near, far = socket.socketpair()
    with near, far:
        far.settimeout(5.0)
        with structured_clone(far) as copy:
            copy.send(b"copy")
            far.send(b" and original")
            assert (5.0, far.family, far.type) == (copy.gettimeout(), copy.family, copy.type)
        with structured_clone(far, [far]) as moved:
            moved.send(b", moved")
        assert b"copy and original, moved" == near.recv(100)
        assert -1 == far.fileno()
        with pytest.raises(DataCloneError, match="closed or was transferred"):
            structured_clone(far)


def test_the_socket_of_a_transport_is_duplicated_or_moved() -> None:
    """As any socket; the transport of a moved one ends, and nothing of it stays with the loop."""
    near, far = socket.socketpair()

    async def give_away() -> bytes:
        reader, writer = await asyncio.open_connection(sock=far)
        shown = writer.get_extra_info("socket")
        with structured_clone([shown])[0] as copy:
            copy.send(b"copy")
        number = shown.fileno()
        with structured_clone(shown, [shown]) as moved:
            moved.send(b", moved")
            near.send(b"for the other")
            assert (b"", b"for the other") == (await reader.read(), moved.recv(100))
            assert -1 == shown.fileno()
            # Nobody has it there, or this would be refused.
            asyncio.get_running_loop().remove_reader(number)
        with pytest.raises(DataCloneError, match="closed or was transferred"):
            structured_clone(shown, [shown])
        writer.close()
        return near.recv(100)

    with near:
        assert b"copy, moved" == asyncio.run(give_away())


def test_the_socket_of_a_transport_with_something_to_write_stays() -> None:
    """What waits there would be lost."""
    near, far = socket.socketpair()

    async def try_to_give_away() -> None:
        _, writer = await asyncio.open_connection(sock=far)
        shown = writer.get_extra_info("socket")
        writer.write(bytes(1 << 22))
        with pytest.raises(DataCloneError, match="has something to write"):
            structured_clone(shown, [shown])
        assert -1 != shown.fileno()
        writer.transport.abort()

    with near:
        asyncio.run(try_to_give_away())


def test_a_connection_is_duplicated_or_moved() -> None:
    """multiprocessing's own connections go as they do there."""
    near, far = multiprocessing.Pipe()
    with near:
        with structured_clone([far])[0] as copy:
            copy.send("copy")
        moved = structured_clone(far, [far])
        moved.send("moved")
        assert ["copy", "moved"] == [near.recv(), near.recv()]
        assert far.closed
        moved.close()
        with pytest.raises(DataCloneError, match="closed"):
            structured_clone(far, [far])


def test_a_connection_in_a_plain_message_is_duplicated() -> None:
    """Without any list it does not arrive as a number that is somebody else's there."""
    near, far = multiprocessing.Pipe()
    with near, far, MessageChannel() as channel:
        channel.port1.post_message({"way": far})
        with channel.port2.receive(LIMIT).data["way"] as copy:
            assert far.fileno() != copy.fileno()
            copy.send("x")
        assert "x" == near.recv()


@pytest.mark.parametrize(("mode", "buffering"), [("rb", 0), ("rb", -1), ("r", -1), ("r+b", -1)])
def test_a_file_goes_on_where_it_was(tmp_path: Path, mode: str, buffering: int) -> None:
    """What was read stays read, what was read ahead is read there; the sender's is closed."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 1000)
    file: Any = open(path, mode, buffering=buffering)  # noqa: SIM115  # it is given away
    assert "012" in str(file.read(3))
    with structured_clone(file, [file]) as moved:
        assert type(file) is type(moved)
        assert "345" in str(moved.read(3))
    assert file.closed


def test_what_was_written_is_flushed_and_goes_on(tmp_path: Path) -> None:
    """Text that was not yet written is written before the file moves."""
    path = tmp_path / "file"
    file = open(path, "w", encoding="utf-16-le")  # noqa: SIM115  # it is given away
    file.write("a")
    with structured_clone(file, [file]) as moved:
        moved.write("b")
    assert "ab" == path.read_text("utf-16-le")


def test_a_failure_leaves_a_file_as_it_was(tmp_path: Path) -> None:
    """A file that was about to move is read on where it was."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 100)
    with open(path, "rb") as file:
        file.read(10)
        with pytest.raises(DataCloneError):
            structured_clone([file, (number for number in range(0))], [file])
        assert bytes(range(10, 20)) == file.read(10)


def test_a_pipe_moves_with_what_was_read_ahead() -> None:
    """Bytes that the file object had in its buffer are not lost."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", 0) as writer:
        writer.write(b"first\nsecond\n")
        reader = os.fdopen(reading, "rb")
        assert b"first\n" == reader.readline()
        with structured_clone(reader, [reader]) as moved:
            writer.write(b"third\n")
            assert [b"second\n", b"third\n"] == [moved.readline(), moved.readline()]


def test_a_text_reader_of_a_pipe_is_refused() -> None:
    """What it has read ahead cannot be known, so that it would be lost."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w"):
        with pytest.raises(DataCloneError, match=r"\.buffer"):
            structured_clone(reader, [reader])
        assert not reader.closed


def test_memory_is_given_up() -> None:
    """A listed bytearray is empty afterwards and a view released; what arrives has the bytes."""
    block = bytearray(b"abc" * 100_000)
    assert b"abc" * 100_000 == structured_clone(block, [block])
    assert b"" == block
    view = memoryview(bytearray(b"xyz"))
    assert b"xyz" == bytes(structured_clone(view, [view]))
    with pytest.raises(ValueError, match="released"):
        view.tobytes()


@pytest.mark.parametrize("nbytes", [10, 150_000, 1_000_000])
def test_a_view_of_any_size_is_given_up(nbytes: int) -> None:
    """Also when what it shows does not go within the pickle, but beside it."""
    view = memoryview(bytearray(nbytes))
    with MessageChannel() as channel:
        channel.port1.post_message([view, view], [view])
        one, other = channel.port2.receive(LIMIT).data
        assert one is other
        assert nbytes == len(one)
    with pytest.raises(ValueError, match="released"):
        view.tobytes()


@pytest.mark.parametrize("nbytes", [48, 480_000])
@pytest.mark.parametrize("form", ["d", "i", "?"])
def test_a_view_arrives_in_its_format(form: Any, nbytes: int) -> None:
    """And in its shape: its items are what they were."""
    view = memoryview(bytearray(nbytes)).cast(form)
    n_rows = len(view) // 2
    plane = memoryview(bytearray(nbytes)).cast(form, (n_rows, 2))
    zero = view[0]
    one, two = structured_clone([view, plane], [view, plane])
    assert (form, zero, 2 * n_rows) == (one.format, one[0], len(one))
    assert ((n_rows, 2), zero) == (two.shape, two[n_rows - 1, 1])


def test_a_view_of_a_format_of_its_own_arrives_as_bytes() -> None:
    """So does one of nothing in several dimensions."""
    numpy = pytest.importorskip("numpy")
    for array in (numpy.zeros(3, ">i4"), numpy.zeros(2, "i4,f8"), numpy.zeros((0, 2))):
        view = memoryview(array)
        copy = structured_clone(view, [view])
        assert ("B", array.nbytes) == (copy.format, copy.nbytes)
    view = memoryview(numpy.zeros((2, 3)).T)
    assert 48 == structured_clone(view, [view]).nbytes
    view = memoryview(numpy.zeros(0, "f8"))
    assert "d" == structured_clone(view, [view]).format


def test_a_view_that_is_looked_at_is_refused() -> None:
    """Nothing that stands in the list is given up then."""
    view = memoryview(bytearray(b"abc"))
    with MessageChannel() as channel, MessageChannel() as other, PickleBuffer(view).raw():
        with pytest.raises(DataCloneError, match="laid over"):
            channel.port1.post_message([other.port1, view], [other.port1, view])
        other.port1.post_message("still here")
        assert "still here" == other.port2.receive(LIMIT).data
        assert channel.port2.receive_nowait() is None
    assert b"abc" == bytes(view)


def test_a_bytearray_with_a_view_is_refused() -> None:
    """What somebody looks at cannot be emptied, and so is not."""
    block = bytearray(b"abc")
    with memoryview(block), pytest.raises(DataCloneError, match="laid over"):
        structured_clone(block, [block])
    assert b"abc" == block


def test_a_listed_socket_that_is_not_in_the_message_is_not_lost() -> None:
    """It arrives in ``event.fds``."""
    near, far = socket.socketpair()
    with near, MessageChannel() as channel:
        channel.port1.post_message("take it", [far])
        event = channel.port2.receive(LIMIT)
        with socket.socket(fileno=event.fd) as arrived:
            arrived.send(b"x")
        assert b"x" == near.recv(10)
        assert -1 == far.fileno()

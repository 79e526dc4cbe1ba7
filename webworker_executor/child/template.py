"""
The zygote: a clean process with one thread that has imported what workers need, and forks them.

It serves one host over the socket on descriptor 3. Frames in: ``HELLO`` with what to import, then
``CALL`` for each worker, with the three descriptors that the worker is to hold. Frames out:
``RESULT`` with the pid and the pidfd, ``RAISE`` with an errno, and ``MESSAGE`` with the exit status
of a worker that ended. It ends with its host, and its workers with it.
"""

from __future__ import annotations

import array
import contextlib
import errno
import importlib
import os
import select
import socket
import sys
from _struct import Struct
from collections import deque

from webworker_executor.child.forked import become_worker
from webworker_executor.child.lifeline import die_with_parent
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import (
    CALL,
    HELLO,
    MESSAGE,
    RAISE,
    RESULT,
    TO_WORKER,
    Frame,
    encode,
)

NUMBER = Struct(">q")
FDS_PER_WORKER = 3
READ_NBYTES = 65536


class Template:
    """
    The state of the zygote.

    Args:
        host_end: The socket to the host; owned by the template.
    """

    def __init__(self, host_end: socket.socket) -> None:
        self._host = host_end
        self._decoder = FrameDecoder(TO_WORKER)
        self._fds: deque[int] = deque()
        self._children: dict[int, int] = {}  # pidfd → pid
        self._poll = select.poll()
        self._poll.register(host_end.fileno(), select.POLLIN)

    def serve(self) -> None:
        """Fork on request until the host is gone."""
        while True:
            for fd, _ in self._poll.poll():
                if fd != self._host.fileno():
                    self._reap(fd)
                elif not self._read():
                    return

    def _read(self) -> bool:
        space = socket.CMSG_SPACE(250 * 4)
        try:
            data, ancillary, _, _ = self._host.recvmsg(READ_NBYTES, space, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            # The host left without reading all that was told to it.
            return False
        for _, _, rights in ancillary:
            fds = array.array("i")
            fds.frombytes(rights[: len(rights) - len(rights) % fds.itemsize])
            self._fds.extend(fds)
        if not data:
            return False
        for frame in self._decoder.feed(data):
            if frame.kind == HELLO:
                _prepare(frame)
            elif frame.kind == CALL:
                self._fork(frame.ident)
        return True

    def _fork(self, ident: int) -> None:
        fds = [self._fds.popleft() for _ in range(min(FDS_PER_WORKER, len(self._fds)))]
        zygote = os.getpid()
        try:
            if len(fds) < FDS_PER_WORKER:
                # The kernel drops what there is no room for.
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = os.fork()
            if pid == 0:
                self._become(zygote, fds)
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            self._host.sendall(encode(RAISE, ident, NUMBER.pack(error.errno or 0))[0])
            return
        finally:
            for fd in fds:
                os.close(fd)
        self._children[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [pidfd]))]
        self._host.sendmsg([encode(RESULT, ident, bytes(4) + NUMBER.pack(pid))[0]], rights)

    def _become(self, zygote: int, fds: list[int]) -> None:
        try:
            os.setpgid(0, 0)
            self._host.close()
            for pidfd in self._children:
                os.close(pidfd)
            become_worker(zygote, fds[0], fds[1], fds[2])
        finally:
            os._exit(70)

    def _reap(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._host.sendall(encode(MESSAGE, pid, NUMBER.pack(code))[0])


def _prepare(frame: Frame) -> None:
    hello = codec.unpack(frame.payload, frame.buffers)
    sys.path[:] = hello["sys_path"]  # type: ignore[index]  # the host packed a dict
    sys.argv[:] = hello["argv"]  # type: ignore[index]  # as above
    sys.modules["__main__"] = type(sys)("__main__")
    for name in hello["preload"]:  # type: ignore[index]  # as above
        try:
            importlib.import_module(name)
        except BaseException as error:
            # A worker that needs it will say so where it can be handled.
            sys.stderr.write(f"webworker zygote: preload of {name!r} failed: {error}\n")
    importlib.import_module("webworker_executor.wire.definition")


def main(host: int) -> None:
    """
    Serve the host until it is gone.

    Args:
        host: Its process id.
    """
    os.closerange(4, 6)
    die_with_parent(host)
    with contextlib.suppress(ConnectionError):
        Template(socket.socket(fileno=3)).serve()
    os._exit(0)

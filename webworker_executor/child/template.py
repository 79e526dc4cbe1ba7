"""
The zygote: a clean process with one thread that has imported what workers need, and forks them.

It serves one host over the socket on descriptor 3. Frames in: ``HELLO`` with what to import, then
``CALL`` for each worker, with the three descriptors that the worker is to hold. Frames out:
``RESULT`` with the pid and the pidfd, ``RAISE`` with an errno, and ``MESSAGE`` with the exit status
of a worker that ended. It ends with its host, and its workers with it.
"""

from __future__ import annotations

import _socket
import os
import select
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBER = Struct(">q")
FDS_PER_WORKER = 3
READ_NBYTES = 65536
EMFILE = 24
# What a function of `__main__` needs.
_SOON = ("webworker_executor.wire.arrival",)


class Template:
    """
    The state of the zygote.

    Args:
        host_end: The socket to the host; owned by the template.
    """

    def __init__(self, host_end: _socket.socket) -> None:
        self._host = host_end
        self._decoder = FrameDecoder(TO_WORKER)
        self._fds: deque[int] = deque()
        self._children: dict[int, int] = {}  # pidfd → pid
        self._poll = select.poll()
        self._poll.register(host_end.fileno(), select.POLLIN)
        self._is_warm = False

    def serve(self) -> None:
        """Fork on request until the host is gone."""
        while True:
            for fd, _ in self._poll.poll():
                if fd != self._host.fileno():
                    self._reap(fd)
                elif not self._read():
                    return
            if self._children and not self._is_warm:
                # Now that the first worker is under way: it does not wait for this, and the others
                # find it done.
                self._is_warm = True
                _import(_SOON)

    def _read(self) -> bool:
        space = _socket.CMSG_SPACE(250 * 4)
        try:
            data, ancillary, _, _ = self._host.recvmsg(READ_NBYTES, space, _socket.MSG_CMSG_CLOEXEC)
        except OSError:
            # The host left without reading all that was told to it.
            return False
        for _, _, rights in ancillary:
            count = len(rights) // 4
            self._fds.extend(memoryview(rights)[: count * 4].cast("i"))
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
                raise OSError(EMFILE, os.strerror(EMFILE))
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
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pidfd.to_bytes(4, sys.byteorder))]
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
    _import(hello["preload"])  # type: ignore[index]  # as above


def _import(names: Sequence[str]) -> None:
    for name in names:
        try:
            __import__(name)
        except BaseException as error:
            # A worker that needs it will say so where it can be handled.
            sys.stderr.write(f"webworker zygote: preload of {name!r} failed: {error}\n")


def main(host: int) -> None:
    """
    Serve the host until it is gone.

    Args:
        host: Its process id.
    """
    os.closerange(4, 6)
    die_with_parent(host)
    try:
        Template(_socket.socket(fileno=3)).serve()
    except ConnectionError:
        # The host left while something was being told to it.
        pass
    os._exit(0)

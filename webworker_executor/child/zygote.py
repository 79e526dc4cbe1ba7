"""
The zygote: a clean process with one thread that has imported what workers need, and forks them.

It serves one host over the socket on descriptor 3. Frames in: ``HELLO`` with what to import, then
``CALL`` for each worker, with the three descriptors that the worker is to hold. Frames out:
``RESULT`` with the pid, and with the pidfd if the kernel gives one; ``RAISE`` with an errno; and
``MESSAGE`` with the exit status of a worker that ended. It ends with its host, and its workers with
it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import _socket
import os
import select
import sys
from collections import deque
from errno import EMFILE

from webworker_executor.child.entry import fill_standard_streams, never_wait_for_the_terminal
from webworker_executor.child.forked import become_worker
from webworker_executor.child.lifeline import die_with_parent
from webworker_executor.link.rights import READ_NBYTES, RIGHTS_NBYTES, numbers_in
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import (
    CALL,
    COUNT,
    HELLO,
    MESSAGE,
    NUMBER,
    RAISE,
    RESULT,
    TO_WORKER,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FDS_PER_WORKER = 3
# What a function of `__main__` needs.
_SOON = ("webworker_executor.wire.arrival",)


class ForkServer:
    """
    What the zygote does: it forks a worker for each request, and tells how each ended.

    Args:
        host_end: The socket to the host; owned by the fork server.
    """

    def __init__(self, host_end: _socket.socket) -> None:
        self._host = host_end
        self._decoder = FrameDecoder(TO_WORKER)
        self._fds: deque[int] = deque()
        self._children: dict[int, int] = {}  # pidfd → pid
        # Where the kernel refuses a pidfd: the children, and what SIGCHLD makes readable.
        self._unheld: set[int] = set()
        self._alarm: tuple[_socket.socket, _socket.socket] | None = None
        self._poll = select.poll()
        self._poll.register(host_end.fileno(), select.POLLIN)
        self._is_warm = False

    def serve(self) -> None:
        """Fork on request until the host is gone."""
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._children:
                    self._reap(fd)
                elif fd != self._host.fileno():
                    self._reap_unheld()
                elif not self._read():
                    return
            if (self._children or self._unheld) and not self._is_warm:
                # Now that the first worker is under way: it does not wait for this, and the others
                # find it done.
                self._is_warm = True
                try:
                    for name in _SOON:
                        __import__(name)
                except ImportError:
                    # The program's path may hold nothing of all this. A task that needs it says so.
                    pass

    def _read(self) -> bool:
        try:
            data, ancillary, _, _ = self._host.recvmsg(
                READ_NBYTES, RIGHTS_NBYTES, _socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            # The host left without reading all that was told to it.
            return False
        self._fds.extend(numbers_in(ancillary))
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
            pidfd = self._hold(pid)
        except OSError as error:
            self._host.sendall(encode(RAISE, ident, NUMBER.pack(error.errno or 0))[0])
            return
        finally:
            for fd in fds:
                os.close(fd)
        rights = []
        if pidfd is not None:
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pidfd.to_bytes(4, sys.byteorder))]
        answer = COUNT.pack(len(rights)) + NUMBER.pack(pid)
        self._host.sendmsg([encode(RESULT, ident, answer)[0]], rights)
        if pidfd is None:
            # It may have ended before anybody listened.
            self._reap_unheld()

    def _hold(self, pid: int) -> int | None:
        """Watch a child for its end; returns its pidfd, if the kernel gives one."""
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            try:
                self._listen_for_ends()
            except OSError:
                os.kill(pid, _signal.SIGKILL)
                os.waitpid(pid, 0)
                raise
            self._unheld.add(pid)
            return None
        self._children[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        return pidfd

    def _listen_for_ends(self) -> None:
        if self._alarm is None:
            near, far = self._alarm = _socketpair()
            self._poll.register(near.fileno(), select.POLLIN)
            _signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
            _signal.signal(_signal.SIGCHLD, lambda number, frame: None)

    def _become(self, zygote: int, fds: list[int]) -> None:
        try:
            # What was preloaded may have set either.
            _signal.set_wakeup_fd(-1)
            _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
            os.setpgid(0, 0)
            self._host.close()
            for pidfd in self._children:
                os.close(pidfd)
            if self._alarm is not None:
                _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
                for end in self._alarm:
                    end.close()
            become_worker(zygote, fds[0], fds[1], fds[2])
        finally:
            os._exit(os.EX_SOFTWARE)

    def _reap(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        self._tell(*os.waitpid(pid, 0))

    def _reap_unheld(self) -> None:
        assert self._alarm is not None
        try:
            # Emptied before the look: who ends after it is heard of again.
            self._alarm[0].recv(READ_NBYTES)
        except BlockingIOError:
            pass
        for pid in tuple(self._unheld):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._unheld.remove(pid)
                self._tell(pid, status)

    def _tell(self, pid: int, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._host.sendall(encode(MESSAGE, pid, NUMBER.pack(code))[0])


def _socketpair() -> tuple[_socket.socket, _socket.socket]:
    near, far = _socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
    return near, far


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
    os.set_inheritable(3, False)
    # Before a worker's links come in, which get the lowest numbers there are.
    fill_standard_streams()
    # What it preloads may print.
    never_wait_for_the_terminal()
    try:
        ForkServer(_socket.socket(fileno=3)).serve()
    except ConnectionError:
        # The host left while something was being told to it.
        pass
    os._exit(0)

"""
Abort signals in other processes: what goes in a signal's place, and how it hears of the abort.

The signal holds one end of a socket, and every copy of it, wherever it was sent to, a descriptor of
the other end. The reason is written there once, as one packet, and only ever peeked at: so it is
there for all copies, also for those that come later, and nobody on the way has to pass it on.

Not for the signal of a task itself: that comes as a frame. Whoever changes this must know that a
copy that nobody listens to has no thread: it looks when it is asked.
"""

from __future__ import annotations

import _socket
import _thread
import posix
import select
from _functools import partial  # type: ignore[import-not-found]  # typeshed has no stub for it

from webworker_executor.link.rights import Descriptor
from webworker_executor.web.abort import AbortSignal
from webworker_executor.wire import codec
from webworker_executor.wire.shown import LONG, shown
from webworker_executor.wire.transfer import present

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.wire.transfer import Parcel

# By its number, of which it finds out the rest.
_socket_of = partial(_socket.socket, -1, -1, -1)
# A packet of this size has room in the buffer of any such socket.
MAX_REASON_NBYTES = 65536


class Beacon:
    """
    What tells the copies of one signal that it has aborted.

    Args:
        signal: The signal; it keeps the beacon, and is not kept by it.
    """

    # By hand, because a socket that is merely dropped warns of it; and by a finalizer of C, for in
    # one of Python a signal handler may raise, and what it raises there is swallowed.
    __slots__ = ("__del__", "_facts", "_near", "far")

    def __init__(self, signal: AbortSignal) -> None:
        self._near, far = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.__del__ = self._near.close
        self._near.setblocking(False)
        # A copy: a detached number would be nobody's where a signal handler raises.
        self.far = Descriptor.copy_of(far.fileno())
        far.close()
        self._facts = signal._facts

    def light(self) -> None:
        """Tell of the abort; called as an algorithm of the signal."""
        verdict: Any = self._facts["verdict"]
        reason, _ = verdict
        payload = _reason_as_bytes(reason)
        try:
            self._near.send(payload)
        except OSError:
            # Every copy is gone, and this end's partner with them.
            return


def _reason_as_bytes(reason: object) -> bytes:
    try:
        packed = codec.pack(reason)
    except Exception:
        # It aborts all the same, also for a reason that cannot be told there.
        return codec.pack(shown(reason, LONG)).payload
    if packed.buffers or len(packed.payload) > MAX_REASON_NBYTES:
        return codec.pack(shown(reason, LONG)).payload
    return packed.payload


def reduce_signal(
    parcel: Parcel, signal: AbortSignal
) -> tuple[Callable[..., AbortSignal], tuple[Any, ...]]:
    """
    Reduce a signal to a copy that aborts when it does.

    Args:
        parcel: Of the message that it stands in.
        signal: Any signal, a copy as well.
    """
    if signal.aborted:
        return AbortSignal.abort, (signal.reason,)
    if isinstance(signal, DistantSignal):
        return _receive_signal, (parcel.add(signal._copy()),)
    beacon = signal.__dict__.get("_beacon")
    if beacon is None:
        fresh = Beacon(signal)
        # Two threads may come here at once; the first one's is everybody's.
        beacon = signal.__dict__.setdefault("_beacon", fresh)
    # Also where it was there, which has no effect as a rule: a signal handler may have raised just
    # before its maker added this.
    if not signal._add_algorithm(beacon.light):
        # Another thread may have sent a copy meanwhile.
        beacon.light()
        return AbortSignal.abort, (signal.reason,)
    return _receive_signal, (parcel.add(beacon.far),)


def _receive_signal(slot: int) -> DistantSignal:
    return DistantSignal(Descriptor.copy_of(present(slot).fileno()))


class DistantSignal(AbortSignal):
    """
    A copy of a signal of another process.

    Listeners run on the asyncio loop, or in the script, where the first of them was added; where
    there was neither, in a thread of their own, or where ``aborted`` is looked at.

    Args:
        owner: Of a socket on which the reason comes; this object takes it over.
    """

    # As above.
    __slots__ = ("__del__",)

    def __init__(self, owner: Descriptor) -> None:
        super().__init__()
        self._socket: _socket.socket = owner.hand_to(_socket_of)
        self.__del__ = self._socket.close
        self._watch: _Watch | None = None

    def _copy(self) -> Descriptor:
        return Descriptor.to_send(self._socket.fileno())

    def _look(self) -> bool:
        """Abort if the original has; returns whether there is anything more to wait for."""
        try:
            payload = self._socket.recv(
                2 * MAX_REASON_NBYTES, _socket.MSG_PEEK | _socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return True
        except OSError:
            return False
        if payload:
            try:
                reason = codec.unpack(payload)
            except Exception as exc:
                reason = exc
            self._abort(reason, is_by_itself=True)
        # Or the original is gone: it will never abort.
        return False

    def _pin(self, is_observed: bool, sources: tuple[AbortSignal, ...]) -> None:
        if not is_observed:
            self._let_go()
            return
        watch = self._watch
        if watch is None:
            watch = _Watch(self)
            # Another thread may have made one meanwhile. No call stands between look and store.
            if self._watch is None:
                self._watch = watch
            else:
                watch = self._watch
        watch.start()

    def _let_go(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()


class _Watch:
    """The thread that looks for a signal that somebody listens to, and so keeps it."""

    def __init__(self, signal: DistantSignal) -> None:
        self._signal = signal
        self._bell = Descriptor(posix.eventfd(0, posix.EFD_CLOEXEC))
        # What begins it, once: whoever takes it out.
        self._beginnings = [self._run]

    def start(self) -> None:
        try:
            run = self._beginnings.pop()
        except IndexError:
            return
        _thread.start_new_thread(run, ())

    def stop(self) -> None:
        posix.eventfd_write(self._bell.fileno(), 1)

    def _run(self) -> None:
        either = select.poll()
        either.register(self._bell.fileno(), select.POLLIN)
        either.register(self._signal._socket, select.POLLIN)
        while all(fd != self._bell.fileno() for fd, _ in either.poll()):
            if not self._signal._look():
                return

"""
What everything that messages come from and go to has in common: ports, workers, scopes, tasks.

Not for the way they travel: whoever has a transport gives a laid-out frame to it in ``_post``, and
brings what comes with ``_arrive`` and ``_ended``; nor for what becomes of what comes: see ``inbox``
and ``receiving``. A worker imports this module at its start, so it imports the least.
"""

from __future__ import annotations

from time import monotonic

from webworker_executor.web.message import (
    LENT,
    LENT_NBYTES,
    PLAIN,
    WITH_LIST,
    give_back,
    new_parcel,
    pack_message,
    refuse,
)
from webworker_executor.web.receiving import Receiver
from webworker_executor.web.seconds import seconds_to_wait
from webworker_executor.wire import codec
from webworker_executor.wire.codec import Pending
from webworker_executor.wire.frame import encode, encode_message
from webworker_executor.wire.kinds import MESSAGE
from webworker_executor.wire.place import LadenParts, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn

    from webworker_executor.wire.codec import Packed
    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step

__all__ = ["MessageTarget"]


class MessageTarget(Receiver):
    """
    Something that takes and gives messages.

    A message goes to the listeners for ``message`` if there are any, one at a time, where the
    first of them was added: on the asyncio loop that ran there, else on the main thread of a
    worker or the events thread of the host. While nobody listens, messages wait for ``receive``,
    which waits in the caller's own thread.

    Attributes:
        onmessage: Called with a ``MessageEvent`` for each message.
        onmessageerror: Called with one for each message that could not be unpacked: its ``data``
            is ``None`` and its ``error`` says why. Only where messages go to listeners: a message
            that waits is not unpacked, and from ``receive`` the exception comes itself.
        onclose: Called with a ``CloseEvent`` when no message can come any more.

    Source: HTML, the mixin ``MessageEventTarget``; ``receive`` is Node's ``receiveMessageOnPort``.
    """

    # Whether the other side is the process that started this one, see `codec.pack`.
    _posts_to_host = False
    _has_lent = False

    def __reduce__(self) -> str | tuple[Any, ...]:
        self._refuse_to_be_sent(
            "make a MessageChannel, post one of its ports to it, and send the other one"
        )

    def _refuse_to_be_sent(self, advice: str) -> NoReturn:
        from webworker_executor.errors import DataCloneError

        raise DataCloneError(f"a {type(self).__name__} stays where it was made; {advice}", self)

    def post_message(
        self, message: Any, transfer: Iterable[Any] | None = (), *, fds: Iterable[Any] = ()
    ) -> None:
        """
        Send a copy of a value to the other side.

        The copy is made at once: what is changed afterwards does not change what arrives. Never
        blocks. Nobody is told whether it arrives: to a side that is gone it is lost.

        Args:
            message: Anything that pickles, or that ``cloudpickle`` can pack.
            transfer: What is given up here and moves there: ports, sockets, files, pipes,
                ``FileDescriptor``, ``bytearray``, ``memoryview``. Ports arrive in
                ``event.ports``, too.
            fds: Descriptors, as numbers or objects with a ``fileno``, of which duplicates arrive in
                ``event.fds``.

        Raises:
            DataCloneError: Something in the message or the list cannot be sent. Nothing was sent
                and nothing given up.
            TypeError: The list is none, or has something in it that could never be transferred.
            Exception: Whatever the value's own hooks (``__reduce__``, ``__getstate__``) raise.

        Source: HTML, ``MessagePort.postMessage``; ``fds`` as in node-webworkers.
        """
        to_host = self._posts_to_host
        if transfer or fds or not (transfer is None or transfer == () or transfer == []):
            packed = pack_message(
                message, transfer, fds, target=self, to_host=to_host, shelf=self._shelve
            )
            ident = WITH_LIST
        else:
            try:
                payload = codec.pack_plain(message)
                if payload is None:
                    packed = codec.pack(
                        message,
                        to_host=to_host,
                        parcel=lambda: new_parcel(self),
                        shelf=self._shelve,
                    )
            except Exception as exc:
                refuse(message, exc)
            if payload is not None:
                self._post(encode_message(PLAIN, payload), ())
                return
            ident = PLAIN
        if packed.__class__ is Pending:
            # No call stands between the packing and this block: a signal handler that raised there
            # would leave what was to be moved neither here nor there.
            parcel = packed.parcel
            try:
                self._post(_laid_out(ident, packed), packed.fds, *parcel.go())
                # Also where nobody reads any more, and nothing was queued.
                parcel.commit()
            except BaseException as error:
                give_back(parcel, error)
                raise
        elif packed.buffers or packed.fds:
            parts = _laid_out(ident, packed)
            self._post(parts, packed.fds)
        else:
            self._post(encode_message(ident, packed.payload), ())

    def _shelve(self, buffers: Sequence[memoryview]) -> Sequence[Place] | None:
        """Put large buffers into memory that the message takes along."""
        if sum(map(len, buffers)) < LENT_NBYTES:
            return None
        from webworker_executor.web.lent import shelved

        self._has_lent = True
        return shelved(buffers, self)

    def _ended(self) -> None:
        super()._ended()
        if self._has_lent:
            self._stop_lending()

    def _stop_lending(self) -> None:
        from webworker_executor.web.lent import stop_lending

        self._has_lent = False
        stop_lending(self)

    @property
    def buffered_amount(self) -> int:
        """
        How many bytes were posted and still wait: for room in the kernel, or, large buffers, for a
        reader to take them out of shared memory.

        Source: HTML, ``WebSocket.bufferedAmount``.
        """
        return self._unread_nbytes()

    def _unread_nbytes(self) -> int:
        """Tell how much went in shared memory and was not taken yet."""
        if not self._has_lent:
            return 0
        from webworker_executor.web.lent import unread_nbytes

        return unread_nbytes(self)

    def drain(self, timeout: float | None = None) -> None:
        """
        Wait until the kernel has all that was posted: that arrives, even if this process dies.

        For large buffers, which go in shared memory, wait until the reader has taken them.

        Args:
            timeout: Seconds to wait at most; ``None`` waits as long as the other side does not
                read, but not longer than it lives.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
            TimeoutError: It took longer. Nothing is lost, and writing goes on.
        """
        seconds = seconds_to_wait(timeout)
        deadline = None if seconds is None else monotonic() + seconds
        if not (self._wait_until_written(seconds) and self._wait_until_taken(deadline)):
            raise TimeoutError(
                f"{self.buffered_amount} bytes still wait in {self!r} after {seconds:g} s: the "
                "other side does not read"
            )

    # -- what a subclass provides

    def _hung_up(self) -> None:
        """Hear that the other side is gone and has left nothing; for subclasses that ask."""

    def _wait_until_written(self, timeout: float | None) -> bool:
        """Wait until nothing waits to be written; for subclasses, unless they write at once."""
        return True

    def _wait_until_taken(self, deadline: float | None) -> bool:
        """Wait until what went in shared memory was taken."""
        if not self._has_lent:
            return True
        from webworker_executor.web.lent import wait_until_taken

        return wait_until_taken(self, deadline)

    def _post(self, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        """
        Give a frame to the transport; for subclasses.

        Args:
            parts: As ``encode`` laid them out.
            fds: What goes along.
            going: Functions of C that give up what is transferred. They are called in the step of C
                that queues the frame, and before it: if one raises, or a signal handler did, it is
                not queued. Where nobody reads any more, they need not be called.
        """
        raise NotImplementedError


def _laid_out(ident: int, packed: Packed) -> Parts:
    if packed.buffers and packed.buffers[0].__class__ is Place:
        from webworker_executor.web.lent import lend

        nbytes = sum(map(len, packed.buffers))
        if lend(packed):
            parts = LadenParts(
                encode(MESSAGE, ident | LENT, packed.payload, (), b"", len(packed.fds))
            )
            parts.nbytes = nbytes
            return parts
    return encode(MESSAGE, ident, packed.payload, packed.buffers, b"", len(packed.fds))

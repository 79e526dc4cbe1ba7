"""
Named locks, which one process of a program has while the others wait: ``locks.request("name")``.

Not for threads alone, for which ``threading.Lock`` is quicker, nor between programs. Nobody serves
all: the first who asks for a name grants it to the others as well, see ``lock_broker``. The thing
to know before a change: who asks owns the connection. When that ends, for whatever reason, the lock
is free; when the other side ends it before a grant, that broker is gone, and another is asked.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from webworker_executor.errors import AbortError
from webworker_executor.rules.locking import Verdict
from webworker_executor.web import realm
from webworker_executor.web.abort import AbortSignal
from webworker_executor.web.lock_broker import ALONE, ALONE_NOW, SHARED, SHARED_NOW, STEAL
from webworker_executor.web.lock_claim import Claim, is_heard, is_heard_on_loop
from webworker_executor.web.seconds import seconds_to_wait

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Literal, NoReturn, TypeAlias

    Mode: TypeAlias = Literal["exclusive", "shared"]

# A lock; or a lock or None, for who does not wait.
Got = TypeVar("Got", covariant=True)

_ASKED = {
    ("exclusive", False): ALONE,
    ("shared", False): SHARED,
    ("exclusive", True): ALONE_NOW,
    ("shared", True): SHARED_NOW,
}
# How long an answer is waited for by one who does not wait for the lock.
ANSWER_SECONDS = 1.0


class Lock:
    """
    A lock that was granted, for the length of a ``with``.

    Attributes:
        name: As it was asked for.
        mode: ``"exclusive"`` or ``"shared"``.

    Source: Web Locks, "Interface Lock".
    """

    __slots__ = ("_claim", "_is_stolen", "mode", "name")

    def __init__(self, name: str, mode: Mode, claim: Claim) -> None:
        self.name = name
        self.mode = mode
        self._claim = claim
        self._is_stolen = False

    def __repr__(self) -> str:
        return f"<Lock {self.name!r} {self.mode}{' stolen' if self.is_stolen else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Lock stays where it was granted; ask for one by the same name in the other process"
        )

    @property
    def is_stolen(self) -> bool:
        """Whether somebody has taken it with ``steal=True``: others may have it now."""
        try:
            if not self._is_stolen:
                self._is_stolen = self._claim.verdict() is Verdict.STOLEN
        except OSError:
            # Nothing was said; or it was let go of.
            pass
        return self._is_stolen


class LockRequest(Generic[Got]):
    """
    What ``locks.request`` returns: ``with`` waits for the lock, has it, and lets go of it.

    ``async with`` does so without keeping the loop from its other work. May be used again, once it
    was let go of. Entered, it gives the :class:`Lock`, or ``None`` where it was asked for only if
    available, and is not.

    Raises:
        TimeoutError: When it is entered: the lock was not to be had in time.
        AbortError: When it is entered, the signal aborted, with a reason that is no exception; when
            it is left, and nothing else was raised: the lock was stolen meanwhile.
        BaseException: When it is entered: the reason of the signal, as it is.
        RuntimeError: When it is entered: it is entered already; or the interpreter is exiting.
        OSError: When it is entered: no descriptor is left, or another user has taken the address.

    Source: Web Locks, ``LockManager.request``.
    """

    def __init__(
        self,
        name: str,
        mode: Mode,
        asked: bytes,
        *,
        may_be_refused: bool,
        signal: AbortSignal | None,
        seconds: float | None,
    ) -> None:
        self._name = name
        self._mode: Mode = mode
        self._asked = asked
        self._may_be_refused = may_be_refused
        self._signal = signal
        self._seconds = seconds
        self._claim: Claim | None = None
        self._lock: Lock | None = None

    def __repr__(self) -> str:
        return f"<LockRequest {self._name!r} {self._mode}>"

    def __enter__(self) -> Got:
        deadline = self._begin()
        try:
            while True:
                claim = self._call()
                if not is_heard(claim, deadline):
                    raise self._too_late()
                if self._is_decided(claim):
                    return self._lock  # type: ignore[return-value]  # None where Got has it
        except BaseException:
            self._leave()
            raise

    def __exit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lock = self._lock
        is_stolen = lock is not None and lock.is_stolen
        self._leave()
        if is_stolen and error is None:
            raise AbortError(f"the lock {self._name!r} was stolen by somebody with steal=True")

    async def __aenter__(self) -> Got:
        deadline = self._begin()
        try:
            while True:
                claim = self._call()
                if not await is_heard_on_loop(claim, deadline):
                    raise self._too_late()
                if self._is_decided(claim):
                    return self._lock  # type: ignore[return-value]  # None where Got has it
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(type, error, traceback)

    def _begin(self) -> float | None:
        """Return until when to wait."""
        if self._claim is not None:
            raise RuntimeError(
                f"{self!r} is entered already; call locks.request() once for each who asks"
            )
        if self._signal is not None:
            self._signal.throw_if_aborted()
        return None if self._seconds is None else time.monotonic() + self._seconds

    def _call(self) -> Claim:
        """Take a place in the queue; the signal ends it."""
        claim = self._claim = Claim(realm.prefix("lock", self._name), self._asked)
        signal = self._signal
        if signal is not None and not signal._add_algorithm(claim.hang_up):
            claim.hang_up()
        return claim

    def _is_decided(self, claim: Claim) -> bool:
        """Take the verdict; false if the broker is gone, and another is to be asked."""
        signal = self._signal
        # Before the verdict is read: an abort that came later would let go of what is had.
        if signal is not None and not signal._remove_algorithm(claim.hang_up):
            signal.throw_if_aborted()
        verdict = claim.verdict()
        if verdict is Verdict.GRANTED:
            self._lock = Lock(self._name, self._mode, claim)
            return True
        claim.close()
        if verdict is not None and not self._may_be_refused:
            raise self._too_late()
        return verdict is not None

    def _too_late(self) -> TimeoutError:
        return TimeoutError(f"the lock {self._name!r} was not to be had in time: others have it")

    def _leave(self) -> None:
        claim, signal = self._claim, self._signal
        if claim is not None:
            if signal is not None:
                signal._remove_algorithm(claim.hang_up)
            claim.close()
        self._claim = self._lock = None


class LockManager:
    """
    Where locks are asked for; there is one, ``locks``, which is also ``scope.navigator.locks``.

    Source: Web Locks, "Interface LockManager".
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<LockManager>"

    @overload
    def request(
        self,
        name: object,
        *,
        mode: Mode = "exclusive",
        if_available: Literal[False] = False,
        steal: bool = False,
        signal: AbortSignal | None = None,
        timeout: float | None = None,
    ) -> LockRequest[Lock]: ...

    @overload
    def request(
        self,
        name: object,
        *,
        mode: Mode = "exclusive",
        if_available: bool,
        steal: bool = False,
        signal: AbortSignal | None = None,
        timeout: float | None = None,
    ) -> LockRequest[Lock | None]: ...

    def request(
        self,
        name: object,
        *,
        mode: Mode = "exclusive",
        if_available: bool = False,
        steal: bool = False,
        signal: AbortSignal | None = None,
        timeout: float | None = None,
    ) -> LockRequest[Any]:
        """
        Ask for a lock, to be used as ``with locks.request("name"):`` or with ``async with``.

        All processes of a program mean the same by a name: the one that began it, its workers, and
        theirs. They have the lock in the order in which they ask. Whoever dies has let go of it,
        and no forked copy of a process has it. A thread that asks for what it has waits for itself,
        as with ``threading.Lock``. Where the process dies that grants a lock to others, they are
        served on, in another order perhaps, and those who share it are not joined before the last
        of them has let go.

        Args:
            name: Any text; what is no text is turned into it.
            mode: ``"exclusive"``, one has it; or ``"shared"``, all have it who ask for that.
            if_available: Whether to get ``None`` in place of the lock where others have it.
            steal: Whether to take the lock from those who have it, who hear of that by
                ``Lock.is_stolen``, and by an ``AbortError`` at the end of their ``with``.
            signal: Ends the wait, with its reason; no more, once the lock is granted.
            timeout: Seconds to wait at most; 0 does not, ``None`` waits for ever.

        Returns:
            The request, which has not been made yet.

        Raises:
            TypeError: ``signal`` is no ``AbortSignal``, or ``timeout`` no number.
            ValueError: ``mode`` is no mode; ``timeout`` is NaN; or a lock is to be stolen only if
                available, or to be shared with others.

        Source: Web Locks, ``LockManager.request``, where a callback has the lock while it runs.
        """
        if mode not in {"exclusive", "shared"}:
            raise ValueError(f"mode must be 'exclusive' or 'shared', not {mode!r}")
        if steal and (if_available or mode == "shared"):
            raise ValueError(
                "steal=True takes a lock from all others at once: leave out if_available and mode"
            )
        if signal is not None and not isinstance(signal, AbortSignal):
            raise TypeError(f"signal must be an AbortSignal, not {type(signal).__name__}")
        seconds = seconds_to_wait(timeout)
        asked = STEAL if steal else _ASKED[mode, if_available or seconds == 0]
        return LockRequest(
            str(name),
            mode,
            asked,
            may_be_refused=if_available,
            signal=signal,
            # Whoever does not wait for the lock waits for the answer.
            seconds=ANSWER_SECONDS if seconds == 0 else seconds,
        )


locks = LockManager()

"""
Abort signals: one side says "enough", and whoever listens stops.

Not for other processes: what carries an abort further adds itself as an algorithm, see ``beacon``.
Whoever changes this must know that an abort may come in any thread and in a signal handler at any
line: there is no lock, what decides are single calls into C, and whoever adds something looks again
whether the signal has aborted meanwhile.
"""

from __future__ import annotations

import _thread

from webworker_executor.web.adherents import Adherents
from webworker_executor.web.algorithms import Algorithms
from webworker_executor.web.alone import Alone
from webworker_executor.web.dispatch import place_to_interrupt
from webworker_executor.web.listener import call_each
from webworker_executor.web.seconds import seconds_to_wait
from webworker_executor.web.target import EventHandler, EventTarget
from webworker_executor.web.untold import Untold
from webworker_executor.wire.shown import LONG, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, NoReturn, TypeVar

    from webworker_executor.web.dispatch import Dispatcher
    from webworker_executor.web.event import Event
    from webworker_executor.web.listener import Listener

    T = TypeVar("T")


class AbortSignal(EventTarget):
    """
    Tells whoever looks or listens that the work is no longer wanted.

    Not made by hand: take it from ``AbortController().signal``, ``AbortSignal.abort()``,
    ``AbortSignal.timeout()`` or ``AbortSignal.any()``. May be used from any thread and from signal
    handlers. A listener that is added while another thread aborts is called, or ``aborted`` is true
    when ``add_event_listener`` returns.

    Attributes:
        onabort: Called with the ``abort`` event, once, in the thread that aborts. If a clock does,
            or another process: on the asyncio loop, or in the script, where the first listener was
            added; where there was neither, in a thread apart.

    Raises:
        TypeError: It is made by hand.

    Source: DOM, "Interface AbortSignal".
    """

    onabort = EventHandler("abort")

    def __init__(self) -> None:
        if self.__class__ is AbortSignal:
            # Nobody could ever abort it.
            raise TypeError(
                "an AbortSignal is not made by hand; take AbortController().signal, or what "
                "AbortSignal.timeout(), AbortSignal.any() or AbortSignal.abort() returns"
            )
        super().__init__()
        # The first to store something under a name has done it: `setdefault` is one step of C.
        self._facts: dict[str, object] = {}
        self._alone = Alone()
        self._algorithms = Algorithms()
        # Listeners elsewhere that end with this signal, and signals made of it by `any`. Both keep
        # this signal, and are not kept by it ...
        self._followers: Adherents[Listener] = Adherents()
        self._dependents: Adherents[AbortSignal] = Adherents()
        # ... except the signals that somebody listens to, who may have kept nothing else.
        self._kept: dict[int, AbortSignal] = {}
        self._place: Dispatcher | None = None
        self._sources: tuple[AbortSignal, ...] = ()

    def __repr__(self) -> str:
        return f"<AbortSignal aborted: {shown(self.reason)}>" if self.aborted else "<AbortSignal>"

    def __reduce__(self) -> Any:
        from webworker_executor.wire.transfer import current_parcel

        parcel = current_parcel()
        if parcel is None:
            raise TypeError(
                "an AbortSignal cannot be pickled: it lives in the process it was made in. It can "
                "be sent, as an argument of a task or in a message; to stop a task from outside, "
                "there is future.abort()."
            )
        from webworker_executor.web.beacon import reduce_signal

        return reduce_signal(parcel, self)

    @staticmethod
    def abort(reason: object = None) -> AbortSignal:
        """
        Make a signal that has aborted already.

        Args:
            reason: As for ``AbortController.abort``.

        Source: DOM, ``AbortSignal.abort``.
        """
        signal = OwnSignal()
        signal._abort(reason)
        return signal

    @staticmethod
    def timeout(seconds: float) -> AbortSignal:
        """
        Make a signal that aborts some time later, with a ``TimeoutError`` as its reason.

        A signal that nobody keeps and nobody listens to is forgotten, and none keeps the program
        from ending. In a forked copy of the process the signals of the original do not abort.

        Args:
            seconds: How much later, 0 or more; infinity is never.

        Raises:
            TypeError: ``seconds`` is no number.
            ValueError: It is negative or NaN.
            RuntimeError: No thread can be started.

        Source: DOM, ``AbortSignal.timeout``, which counts milliseconds.
        """
        from webworker_executor.web.derived import TimeoutSignal

        return TimeoutSignal(seconds)

    @staticmethod
    def any(signals: Iterable[AbortSignal]) -> AbortSignal:
        """
        Make a signal that aborts with the first of others, for the same reason.

        It has aborted already if one of them has. The others do not keep it alive, unless somebody
        listens to it.

        Args:
            signals: Any number; of none, it never aborts.

        Raises:
            TypeError: One of them is no signal, or they are no iterable.

        Source: DOM, ``AbortSignal.any``.
        """
        from webworker_executor.web.derived import DependentSignal

        return DependentSignal(signals)

    @property
    def aborted(self) -> bool:
        """Whether it has aborted."""
        if "verdict" not in self._facts:
            self._look()
        return "verdict" in self._facts

    @property
    def reason(self) -> object:
        """Why it has aborted: the very object that was given; ``None`` while it has not."""
        return self._verdict[0] if self.aborted else None

    @property
    def _verdict(self) -> tuple[object, TracebackType | None]:
        return self._facts.get("verdict", (None, None))  # type: ignore[return-value]  # what _settle stores

    def throw_if_aborted(self) -> None:
        """
        Return while it has not aborted, and raise afterwards.

        Raises:
            BaseException: The reason itself, if it is an exception.
            AbortError: Otherwise, with the reason as its ``reason``.

        Source: DOM, ``AbortSignal.throwIfAborted``; in Python only exceptions can be thrown.
        """
        if not self.aborted:
            return
        reason, traceback = self._verdict
        if isinstance(reason, BaseException):
            # Each raise adds frames to an exception. They must not pile up in one that many raise.
            raise reason.with_traceback(traceback)
        from webworker_executor.errors import AbortError

        raise AbortError(f"aborted: {shown(reason, LONG)}", reason)

    def wait(self, timeout: float | None = None) -> bool:
        """
        Wait until it aborts.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for ever.

        Returns:
            Whether it has aborted.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
        """
        seconds = seconds_to_wait(timeout)
        lock = _thread.allocate_lock()
        lock.acquire()
        try:
            if self._add_algorithm(lock.release):
                lock.acquire(True, -1 if seconds is None else seconds)
        finally:
            self._remove_algorithm(lock.release)
        return self.aborted

    # -- the abort

    def _abort(self, reason: object = None, *, is_by_itself: bool = False) -> None:
        """Abort, unless that was done; listeners run before it returns, or where they belong."""
        self._settle(reason)
        # One that listens may abort once more, which has no effect. But what a signal handler has
        # broken off by an exception, the next abort brings to its end.
        self._alone.do(lambda: self._announce(is_by_itself=is_by_itself))

    def _look(self) -> object:
        """Find out about an abort that nobody has told of yet; for subclasses."""

    def _settle(self, reason: object) -> bool:
        """Have it aborted from now on; returns whether that is for this reason."""
        if "verdict" not in self._facts:
            if reason is None:
                from webworker_executor.errors import AbortError

                reason = AbortError(
                    "aborted without a reason; give one to abort(reason), and it is raised instead"
                )
            self._facts.setdefault("verdict", (reason, getattr(reason, "__traceback__", None)))
        return self._verdict[0] is reason

    def _announce(self, *, is_by_itself: bool) -> None:
        # All have aborted before the first listener runs, which may look at any of them. Those that
        # another signal has aborted before are told when that comes to it, and not amid its calls.
        dependents = [each for each in self._dependents.living() if each._settle(self.reason)]
        signals = [self, *dependents]
        steps: list[Callable[[], object]] = []
        for signal in signals:
            steps += [signal._run_algorithms, signal._fire_there if is_by_itself else signal._fire]
        call_each(steps, lambda step: step())

    def _run_algorithms(self) -> None:
        for listener in self._followers.living():
            # Nobody else may keep it once it has left its list, though more is to be done then.
            self._algorithms.add(listener.leave)
        self._algorithms.run(self._report)

    def _fire_there(self) -> None:
        place = self._place
        if place is None or place.is_closed:
            self._fire()
        else:
            place.call(self._fire)

    def _fire(self) -> None:
        listeners = self._listeners.get("abort", {}).values()
        untold: Any = self._facts.setdefault("untold", Untold(listeners))
        try:
            untold.tell(self.dispatch_event)
        finally:
            if not self._is_observed:
                self._let_go()

    def _listeners_for(self, event: Event) -> Iterator[Listener]:
        untold: Any = self._facts.get("untold")
        if untold and event is untold.event:
            return untold.listeners(self._may_call)  # type: ignore[no-any-return]  # what _fire stores
        return super()._listeners_for(event)

    # -- what others add

    def _add_algorithm(self, algorithm: Callable[[], object]) -> bool:
        """
        Call something when the signal aborts, before the event is dispatched.

        Returns:
            False if the signal has aborted, and this will not be called.

        Source: DOM, "add an algorithm to an AbortSignal".
        """
        if self.aborted:
            return False
        self._algorithms.add(algorithm)
        self._observation_changed()
        # Either the thread that aborted meanwhile has taken it out, or it never will.
        return not self.aborted or not self._remove_algorithm(algorithm)

    def _remove_algorithm(self, algorithm: Callable[[], object]) -> bool:
        """Call it no more; returns whether it would have been called."""
        was_waiting = self._algorithms.remove(algorithm)
        self._observation_changed()
        return was_waiting

    def _follow(self, listener: Listener) -> bool:
        """Have a listener removed by the abort; False if that has been."""
        self._followers.add(listener, self._observation_changed)
        self._observation_changed()
        return not self.aborted

    # -- who must not be collected

    def _listeners_changed(self, type: str) -> None:
        if not self._has_listeners("abort"):
            self._place = None
        elif self._place is None:
            self._place = place_to_interrupt()
        self._observation_changed()

    def _observation_changed(self) -> None:
        # Threads that add and remove may come to the last step in another order than they did the
        # first in. So each looks again, and the last one leaves behind what is true: with the same
        # sources, though the signal may have let them go meanwhile.
        sources = self._sources
        is_observed = None
        while is_observed is not self._is_observed:
            is_observed = self._is_observed
            self._pin(is_observed, sources)

    @property
    def _is_observed(self) -> bool:
        """Whether somebody would notice if the signal were gone."""
        others = self._algorithms or self._kept or self._followers
        untold = self._facts.get("untold")
        # Whoever listens since then will not be told.
        return bool(others or (self._has_listeners("abort") if untold is None else untold))

    def _pin(self, is_observed: bool, sources: tuple[AbortSignal, ...]) -> None:
        """Have the signal kept, or do not; for those that no controller keeps."""

    def _let_go(self) -> None:
        """Forget what would have aborted it: it has aborted, and all have been told."""


class OwnSignal(AbortSignal):
    """One that is aborted by whoever has made it."""


class AbortController:
    """
    The side that says "enough".

    May be used from any thread and from signal handlers.

    Source: DOM, "Interface AbortController".
    """

    __slots__ = ("_signal",)

    def __init__(self) -> None:
        self._signal: AbortSignal = OwnSignal()

    def __repr__(self) -> str:
        return f"<AbortController of {self._signal!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an AbortController stays where it was made, because a copy could abort nothing here; "
            "send its signal"
        )

    @property
    def signal(self) -> AbortSignal:
        """The side that looks and listens, for whoever is to be stopped."""
        return self._signal

    def abort(self, reason: object = None) -> None:
        """
        Abort the signal; listeners run in this thread before it returns. Again, it has no effect.

        Args:
            reason: Why. Best an exception, which ``throw_if_aborted`` raises as it is; ``None``
                makes it an ``AbortError``.

        Raises:
            BaseException: What is no ``Exception`` and was raised by a listener, after the other
                listeners have been called.

        Source: DOM, ``AbortController.abort``.
        """
        self._signal._abort(reason)

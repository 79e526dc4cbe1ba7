"""
Signals that nobody aborts by hand: those that follow others, and those that follow the clock.

Not for the abort itself: see ``abort``. Whoever changes this must know who keeps whom. Such a
signal keeps what it follows; what it follows keeps it only while somebody listens to it. So a
signal that lives long collects no dead ones, and nobody who listens waits in vain.
"""

from __future__ import annotations

from _weakref import ref

from webworker_executor.web.abort import AbortSignal
from webworker_executor.web.seconds import check_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from webworker_executor.web.timer import Due


class DependentSignal(AbortSignal):
    """One that aborts with the first of others."""

    def __init__(self, signals: Iterable[AbortSignal]) -> None:
        super().__init__()
        # Without collections.abc, which a worker that has a time-out need not import.
        if not hasattr(signals, "__iter__"):
            raise TypeError(
                f"AbortSignal.any() takes a list of signals, not {signals.__class__.__name__}"
            )
        signals = tuple(signals)
        for signal in signals:
            if not isinstance(signal, AbortSignal):
                raise TypeError(
                    f"AbortSignal.any() takes signals, not {signal.__class__.__name__}; of a "
                    "controller, give its signal"
                )
        # Never a dependent one: what it depends on is taken in its place.
        sources = (source for signal in signals for source in signal._sources or (signal,))
        self._sources = tuple(dict.fromkeys(sources))
        for source in self._sources:
            source._dependents.add(self)
        # What aborts from here on finds this signal. The sources are looked at as well, because one
        # of them may have aborted and not yet come to the dependent signal that was given.
        for signal in (*signals, *self._sources):
            if signal.aborted:
                self._abort(signal.reason)
                break

    def _look(self) -> None:
        # A copy of another process's signal that nobody listens to is told of nothing.
        for source in self._sources:
            source._look()

    def _pin(self, is_observed: bool, sources: tuple[AbortSignal, ...]) -> None:
        for source in sources:
            if is_observed:
                source._kept[id(self)] = self
            else:
                source._kept.pop(id(self), None)
            source._observation_changed()

    def _let_go(self) -> None:
        # Found by the next abort until the end, should a signal handler break this off.
        self._pin(False, self._sources)
        for source in self._sources:
            source._dependents.remove(self)
        self._sources = ()


class TimeoutSignal(AbortSignal):
    """One that aborts at a time."""

    _due: Due | None = None

    def __init__(self, seconds: float) -> None:
        super().__init__()
        seconds = check_seconds("seconds", seconds, may_be_endless=True)
        from webworker_executor.web.timer import timers

        itself = ref(self)

        def time_out() -> None:
            signal = itself()
            if signal is not None:
                error = TimeoutError(f"timed out after {seconds:g} s; allow more, or do less")
                signal._abort(error, is_by_itself=True)

        self._due = timers.call_later(seconds, time_out)

    def __del__(self) -> None:
        if self._due is not None:
            self._due.cancel()

    def _pin(self, is_observed: bool, sources: tuple[AbortSignal, ...]) -> None:
        if self._due is not None:
            self._due.kept = self if is_observed else None

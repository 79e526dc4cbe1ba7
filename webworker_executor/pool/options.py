"""
A view of an executor: the same workers, other terms for what is submitted through it.

``submit`` itself steals no keyword from the function it calls; whatever else is to be said of a
task is said here.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import WorkerCrashedError
from webworker_executor.pool import broken, mapping
from webworker_executor.pool.call import Call
from webworker_executor.pool.chunk import run_chunk
from webworker_executor.pool.failing import fail, failed
from webworker_executor.pool.flattened import results_of
from webworker_executor.pool.inside import call_again, call_in_time, call_moved
from webworker_executor.pool.spreading import SpreadingExecutor
from webworker_executor.pool.stream import WINDOW, Stream
from webworker_executor.pool.talk import conversation_of
from webworker_executor.pool.title import n_calls_of, name_of, title_of
from webworker_executor.rules.task import Survivor
from webworker_executor.web.seconds import check_seconds
from webworker_executor.wire.forks import packing_for_forks

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Coroutine, Iterator
    from typing import ParamSpec, TypeVar, overload

    from webworker_executor.pool.executor import WebWorkerExecutor
    from webworker_executor.pool.future import WorkerFuture
    from webworker_executor.pool.talk import Conversation
    from webworker_executor.web.abort import AbortSignal
    from webworker_executor.web.event import MessageEvent

    P = ParamSpec("P")
    T = TypeVar("T")
    Handler = Callable[[MessageEvent], object]


class _AsItIs:
    def __repr__(self) -> str:
        return "as it is"


AS_IT_IS: Any = _AsItIs()
"""Stands for an option that is not given: ``None`` is a value of some."""

INTEGERS = frozenset({"retries", "worker", "window", "priority"})


@dataclass(frozen=True)
class Terms:
    """On what terms a task runs; see ``WebWorkerExecutor.options``."""

    timeout: float | None = None
    soft_timeout: float | None = None
    retries: int = 0
    retry_on: tuple[type[BaseException], ...] = (WorkerCrashedError,)
    signal: AbortSignal | None = None
    transfer: tuple[Any, ...] = ()
    worker: int | None = None
    onmessage: Handler | None = None
    window: int = WINDOW
    priority: int = 0
    cancel_running: bool = False

    @property
    def survives_crashes(self) -> bool:
        """Whether the death of its worker is a reason to run a task again."""
        return issubclass(WorkerCrashedError, self.retry_on)

    @property
    def retried(self) -> tuple[type[BaseException], ...]:
        """What a task may raise to be run again."""
        return tuple(kind for kind in self.retry_on if kind is not WorkerCrashedError)

    def check(self, n_workers: int) -> None:
        """
        Refuse what cannot be.

        Raises:
            TypeError: An option has the wrong type.
            ValueError: An option has a value that it cannot have.
        """
        for name in sorted(INTEGERS):
            value = getattr(self, name)
            # One that is none would be waited for: no worker ever has the place 0.5.
            if not isinstance(value, int) and not (value is None and name == "worker"):
                raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
        if self.timeout is not None:
            check_seconds("timeout", self.timeout, may_be_zero=False)
        if self.soft_timeout is not None:
            check_seconds("soft_timeout", self.soft_timeout, may_be_zero=False)
        if self.retries < 0:
            raise ValueError(f"retries must be 0 or more, not {self.retries!r}")
        kinds: tuple[Any, ...] = self.retry_on
        for kind in kinds:
            if not isinstance(kind, type) or not issubclass(kind, BaseException):
                raise TypeError(f"retry_on holds types of exceptions, which {kind!r} is not")
        if self.signal is not None and not hasattr(self.signal, "throw_if_aborted"):
            raise TypeError(
                f"signal must be an AbortSignal, not {type(self.signal).__name__}; of an "
                "AbortController, give its signal"
            )
        if self.worker is not None and not 0 <= self.worker < n_workers:
            raise ValueError(
                f"there is no worker {self.worker!r}: this executor has {n_workers}, from 0"
            )
        if self.onmessage is not None and not callable(self.onmessage):
            raise TypeError("onmessage must be callable; it is called with one MessageEvent")
        if self.window < 1:
            raise ValueError(f"window must be at least 1 item, not {self.window!r}")


DEFAULTS = Terms()


class SpecialCall(Survivor, Call):
    """A call that is not for any place, once, in its turn."""

    __slots__ = ("pin", "priority", "retries")

    def __init__(self, ident: int, terms: Terms) -> None:
        super().__init__(ident)
        self.pin = terms.worker
        self.retries = terms.retries if terms.survives_crashes else 0
        self.priority = terms.priority


class ExecutorView(SpreadingExecutor):
    """
    An executor whose tasks run on certain terms; made by ``WebWorkerExecutor.options``.

    It has no workers of its own: the executor's run its tasks, and shutting down the one shuts down
    the other.

    Args:
        executor: Who has the workers.
        terms: The terms.
    """

    def __init__(self, executor: WebWorkerExecutor, terms: Terms) -> None:
        terms.check(executor.size)
        self._executor = executor
        self._terms = terms

    def __repr__(self) -> str:
        values = [(field.name, getattr(self._terms, field.name)) for field in fields(Terms)]
        given = [f"{name}={value!r} " for name, value in values if value != getattr(DEFAULTS, name)]
        return f"<ExecutorView {''.join(given)}of {self._executor!r}>"

    @property
    def worker(self) -> int | None:
        """The place that its tasks must run in, ``None`` for any."""
        return self._terms.worker

    def finalizer(self, call: Callable[[], object]) -> Callable[[], object]:
        """Return what makes a call on the reactor's thread from a finalizer; after a submit."""
        return self._executor._pool.crew.finalizer(call)

    def options(
        self,
        *,
        timeout: float | None = AS_IT_IS,
        soft_timeout: float | None = AS_IT_IS,
        retries: int = AS_IT_IS,
        retry_on: type[BaseException] | Iterable[type[BaseException]] | None = AS_IT_IS,
        signal: AbortSignal | None = AS_IT_IS,
        transfer: Iterable[Any] | None = AS_IT_IS,
        worker: int | None = AS_IT_IS,
        onmessage: Handler | None = AS_IT_IS,
        window: int = AS_IT_IS,
        priority: int = AS_IT_IS,
        cancel_running: bool = AS_IT_IS,
    ) -> ExecutorView:
        """
        Return a view with some of the terms changed.

        Takes and raises what ``WebWorkerExecutor.options`` does. What is not given stays as it is
        here.
        """
        changes = as_terms(
            timeout=timeout,
            soft_timeout=soft_timeout,
            retries=retries,
            retry_on=retry_on,
            signal=signal,
            transfer=transfer,
            worker=worker,
            onmessage=onmessage,
            window=window,
            priority=priority,
            cancel_running=cancel_running,
        )
        view = ExecutorView(self._executor, replace(self._terms, **changes))
        _check_limits(changes)
        return view

    if TYPE_CHECKING:

        @overload
        def submit(
            self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
        ) -> WorkerFuture[T]: ...
        @overload
        def submit(
            self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
        ) -> WorkerFuture[T]: ...

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> WorkerFuture[Any]:
        """Run a call on these terms; otherwise as ``WebWorkerExecutor.submit``."""
        executor, terms = self._executor, self._terms
        pool = executor._pool
        if not pool.is_open:
            executor._open()
        signal = terms.signal
        if signal is not None and signal.aborted:
            return _aborted(fn, signal.reason)
        call = self._call()
        future = call.future
        try:
            self._pack(call, fn, args, kwargs)
            if terms.cancel_running:
                future._cancels_running = True
            if terms.onmessage is not None or signal is not None or terms.timeout is not None:
                conversation = conversation_of(future)
                if terms.onmessage is not None:
                    conversation.onmessage = terms.onmessage
                if terms.timeout is not None:
                    conversation.limit = terms.timeout
                    pool.crew.talks.waiting[call.ident] = conversation
            pool.take(call)
            if signal is not None:
                _follow(signal, future, conversation)
        except BaseException as error:
            try:
                pool.crew.talks.forget(call.ident)
                return fail(pool, call, error, fn, args, kwargs)
            finally:
                # Once more, where a signal handler has come into that.
                call.settle()
        return future

    def _call(self) -> Call:
        terms, ident = self._terms, self._executor._pool.promises.next_ident()
        if terms.worker is None and not terms.retries and not terms.priority:
            return Call(ident)
        return SpecialCall(ident, terms)

    def _pack(
        self, call: Call, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        terms = self._terms
        given, title, n_calls = fn, title_of(fn, args), n_calls_of(fn, args)
        if terms.soft_timeout is not None:
            fn, args, kwargs = call_in_time, (fn, args, kwargs, terms.soft_timeout), {}
        if terms.retries and terms.retried:
            fn, args, kwargs = call_again, (fn, args, kwargs, terms.retries, terms.retried), {}
        if terms.transfer:
            from webworker_executor.web.transferable import transfer

            fn, args, kwargs = call_moved, (fn, transfer((args, kwargs), terms.transfer)), {}
        if self._executor._is_forking:
            forks = self._executor._forks
            packing_for_forks(call.pack, fn, args, kwargs, forks=forks)
        else:
            call.pack(fn, args, kwargs)
        if fn is not given:
            call.rename(title, n_calls)

    def _map(
        self,
        fn: Callable[..., Any],
        calls: mapping.Calls,
        options: mapping.MapOptions,
    ) -> Iterator[Any]:
        self._executor._open_for(calls.items)
        chunksize = options.chunksize
        if chunksize is None or chunksize == 1:
            return _kept(self, mapping.one_by_one(self, fn, calls.tuples(), options))
        parts = ((fn, part) for part in calls.chunks(chunksize))
        lists = mapping.one_by_one(self, run_chunk, parts, options)
        return _kept(self, results_of(lists))

    def stream(
        self,
        fn: Callable[P, Iterable[T] | AsyncIterable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Stream[T]:
        """Stream on these terms; otherwise as ``WebWorkerExecutor.stream``."""
        return Stream(self.submit, fn, args, kwargs, self._terms.window)

    def shutdown(
        self, wait: bool = True, *, cancel_futures: bool = False, timeout: float | None = None
    ) -> None:
        """Shut the executor down: see ``WebWorkerExecutor.shutdown``."""
        self._executor.shutdown(wait, cancel_futures=cancel_futures, timeout=timeout)


def as_terms(**options: Any) -> dict[str, Any]:
    """
    Make tuples of what may be given as any iterable or as one type, and plain integers.

    What is to stay as it is is left out.

    Raises:
        TypeError: Something is no iterable.
    """
    changes = {name: value for name, value in options.items() if value is not AS_IT_IS}
    for name in INTEGERS & changes.keys():
        if hasattr(changes[name], "__index__"):
            # Those of numpy cannot be negated as they are.
            changes[name] = operator.index(changes[name])
    if "transfer" in changes:
        from webworker_executor.web.luggage import as_list

        changes["transfer"] = as_list("transfer", changes["transfer"])
    if "retry_on" in changes:
        changes["retry_on"] = _as_types(changes["retry_on"])
    return changes


def _check_limits(changes: dict[str, Any]) -> None:
    """Refuse two limits of one call that cannot both be; each has been looked at by itself."""
    # Of what is given in two steps, the second may well be the shorter one, for a task that is to
    # have no more than that.
    soft, hard = changes.get("soft_timeout"), changes.get("timeout")
    if soft is not None and hard is not None and soft > hard:
        raise ValueError(
            f"soft_timeout must be no more than timeout, which is {hard!r}, not {soft!r}: the task "
            "would be stopped before it is told"
        )


def _as_types(kinds: Any) -> tuple[Any, ...]:
    if kinds is None:
        return Terms.retry_on
    if isinstance(kinds, type):
        return (kinds,)
    if not isinstance(kinds, Iterable) or isinstance(kinds, (str, bytes)):
        raise TypeError(f"retry_on must be a type of exceptions or several, not {kinds!r}")
    return tuple(kinds)


def _kept(view: ExecutorView, results: Iterator[Any]) -> Iterator[Any]:
    """Yield results, and keep the view alive, through which more may have to be submitted."""
    try:
        yield from results
    finally:
        del view


def _aborted(fn: Callable[..., Any], reason: object) -> WorkerFuture[Any]:
    return failed(broken.aborted(name_of(fn), reason))


def _follow(signal: AbortSignal, future: WorkerFuture[Any], conversation: Conversation) -> None:
    """Abort a future when a signal aborts."""

    def stop() -> None:
        future.abort(signal.reason)

    def leave() -> None:
        signal._remove_algorithm(stop)

    if not signal._add_algorithm(stop):
        stop()
        return
    # A signal that lives long must not keep whatever was ever submitted with it.
    conversation.at_end.append(leave)
    if conversation._has_ended:
        leave()

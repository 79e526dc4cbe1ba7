"""
Proxies: an object on the other side of a port, used as if it were here, in the manner of Comlink.

One side exposes an object, the other wraps the port. Calls are messages, answered in order. Not for
the objects of an executor's workers: see ``executor.actor``.

The thing to know before a change: no call may ever be left without an answer. How the wrapping side
waits for it is told in ``request``.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from webworker_executor.web.channel import MessageChannel
from webworker_executor.web.coroutine import completed
from webworker_executor.web.culprit import find_culprit, pack_for_message
from webworker_executor.web.event import MessageEvent
from webworker_executor.web.exposure import Exposure
from webworker_executor.web.port import MessagePort
from webworker_executor.web.request import Connection, Path, Reply
from webworker_executor.web.request_ident import RequestIdent, take_ident
from webworker_executor.wire.failure import pack_failure
from webworker_executor.wire.shown import shown
from webworker_executor.wire.transfer import current_parcel

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from webworker_executor.web.event import CloseEvent

GET, SET, CALL, CONSTRUCT, CLONE = "get", "set", "call", "construct", "clone"
RELEASED = "the proxy was released"


# -- the side that has the object


def expose(value: Any, port: MessagePort, *, finalizer: Callable[[], object] | None = None) -> None:
    """
    Serve an object to the other side of a port, until that is closed or its proxy is released.

    Requests are handled one at a time, in order, where the port's ``onmessage`` runs: see there.
    If that is an asyncio loop, close the port before the loop: nobody would answer any more.
    What the object's methods return is copied, or goes by reference where it is in ``proxy()``; of
    a future, such as an executor's, the answer is its result, as soon as there is one. A method
    that is ``async def`` is run to its end; on an asyncio loop as a task, and other requests are
    answered meanwhile. With attributes that are fetched it is the same.
    Whoever has the other side may call anything but special methods (``__x__``).

    Args:
        value: Any object; a module or a class as well.
        port: Started by this; not to be used for anything else.
        finalizer: Called once when nobody can call the object any more: the other side is gone,
            and so are those of all ports that ``clone`` made of its proxy.

    Raises:
        TypeError: ``port`` is no ``MessagePort``, or ``finalizer`` cannot be called.

    Source: Comlink, ``expose`` and ``finalizer``.
    """
    _check_port("expose", port)
    if finalizer is not None and not callable(finalizer):
        raise TypeError(f"finalizer must be callable, without arguments; {shown(finalizer)} is not")
    _serve(value, port, Exposure(finalizer))


def _serve(value: Any, port: MessagePort, exposure: Exposure) -> None:
    server = _Server(value, port, exposure)
    port.onmessageerror = server.refuse
    port.onclose = server.finish
    port._settle = server.settle
    port.onmessage = server.serve


def _check_port(caller: str, port: object) -> None:
    if not isinstance(port, MessagePort):
        raise TypeError(
            f"{caller}() takes a MessagePort, such as MessageChannel().port1, not {shown(port)}"
        )


class _Server:
    """What answers for an exposed object."""

    def __init__(self, value: Any, port: MessagePort, exposure: Exposure) -> None:
        self._value = value
        self._port = port
        self._exposure = exposure
        exposure.begin(port)

    def serve(self, event: MessageEvent) -> None:
        ident, kind, path, args, kwargs = event.data
        try:
            take_ident()
            value = self._perform(kind, path, args, kwargs)
            if kind in (CALL, GET) and isinstance(value, (Future, asyncio.Future)):
                # Nobody waits here: the thread is that of other requests, too.
                value.add_done_callback(partial(self._answer_later, ident, path))
                event.data = None
                return
            answer = (ident, True, value)
        except BaseException as exc:
            answer = (ident, False, pack_failure(exc, skip=1))
        self._answer(answer, path)
        # That it has been answered; see `settle`.
        event.data = None

    def settle(self, event: MessageEvent | CloseEvent) -> None:
        """Answer a request whose handling a signal handler has broken off, wherever that was."""
        if isinstance(event, MessageEvent) and event.data.__class__ is tuple and event.data:
            ident, event.data = event.data[0], None
            if ident.__class__ is RequestIdent:
                error = sys.exc_info()[1] or InterruptedError(
                    "a signal handler has raised while the request was handled; see the log there"
                )
                self._port.post_message((ident, False, pack_failure(error)))

    def _answer_later(self, ident: RequestIdent, path: Path, done: Any) -> None:
        try:
            try:
                error = done.exception()
            except BaseException as exc:
                # It was cancelled.
                error = exc
            is_value = error is None
            answer = done.result() if is_value else pack_failure(error)
            self._answer((ident, is_value, answer), path)
        except BaseException as exc:
            # Of a signal handler. Two answers do no harm.
            self._port.post_message((ident, False, pack_failure(exc)))
            raise

    def _answer(self, answer: tuple[RequestIdent, bool, Any], path: Path) -> None:
        try:
            self._port.post_message(answer)
        except BaseException as exc:
            # Of the packing itself, which knows nothing of what stands around the value.
            cause = exc.__cause__ or exc
            part = find_culprit(cause, {"result": answer[2]}, pack_for_message)
            error = TypeError(
                f"what {'.'.join(path) or 'the object'} returned cannot be sent: {part}: {cause}. "
                "Return something that pickles, or proxy(value) to have it used from afar"
            )
            error.__cause__ = cause
            self._port.post_message((answer[0], False, pack_failure(error)))

    def refuse(self, event: MessageEvent) -> None:
        ident = RequestIdent(take_ident())
        error = event.error or TypeError("a request could not be unpacked")
        self._port.post_message((ident, False, pack_failure(error)))

    def finish(self, event: object) -> None:
        self._exposure.finish(self._port)

    def _perform(self, kind: str, path: Path, args: tuple[Any, ...], kwargs: Any) -> Any:
        if any(name.startswith("__") for name in path):
            raise AttributeError(f"{'.'.join(path)}: special names are not served to others")
        target = self._value
        if kind == SET:
            for name in path[:-1]:
                target = getattr(target, name)
            setattr(target, path[-1], args[0])
            return None
        for name in path:
            target = getattr(target, name)
        if kind == GET:
            return completed(target)
        if kind == CLONE:
            return _ByReference(target, exposure=self._exposure, is_wrapped=False)
        result = completed(target(*args, **kwargs))
        return proxy(result) if kind == CONSTRUCT else result


class _ByReference:
    """Something that is sent as a proxy of it, or as a port to it."""

    def __init__(
        self,
        value: Any,
        finalizer: Callable[[], object] | None = None,
        *,
        exposure: Exposure | None = None,
        is_wrapped: bool = True,
    ) -> None:
        self.value = value
        self._finalizer = finalizer
        self._exposure = exposure
        self._is_wrapped = is_wrapped

    def __reduce__(self) -> Any:
        parcel = current_parcel()
        if parcel is None:
            raise TypeError("a proxy goes in a message or a task, not in bytes by themselves")
        channel = MessageChannel()
        parcel.move(channel.port2)
        # Each proxy of a value has an end of its own; only a clone shares that of its original.
        exposure = self._exposure or Exposure(self._finalizer)
        parcel.commits.append(lambda: _serve(self.value, channel.port1, exposure))
        return wrap if self._is_wrapped else _as_it_is, (channel.port2,)


def _as_it_is(port: MessagePort) -> MessagePort:
    return port


def proxy(value: Any, *, finalizer: Callable[[], object] | None = None) -> Any:
    """
    Mark a value to be sent by reference: the other side gets a ``Proxy`` of it.

    For callbacks, above all. Each time it is sent there is a new proxy, with a port of its own.

    Args:
        value: What stays here and is served, as by ``expose``.
        finalizer: Called once when a proxy has been released.

    Source: Comlink, ``proxy``.
    """
    return _ByReference(value, finalizer)


# -- the side that has the port


class _Lease:
    """What all proxies of one connection hold: with the last of them it is given up."""

    # By a finalizer of C: what a signal handler raises in one of Python is swallowed, and the port
    # would stay, and the thread that waits there.
    __slots__ = ("__del__", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.__del__ = connection.farewell()


class Proxy:
    """
    An object on the other side of a port; made by ``wrap``.

    ``proxy.method(...)`` calls a method there and returns a future, which can be awaited.
    ``proxy.name`` is a proxy of an attribute: call it, go further, or ``fetch`` its value.
    ``proxy.name = value`` sets it, and waits until that is done; so not on the very asyncio loop
    where the object is served.

    A call raises what it raised there, with the traceback; ``PortClosedError`` if the other side
    is gone; and what packing the arguments raises, at once.

    Source: Comlink, ``Remote``.
    """

    __slots__ = ("_lease", "_path")
    _lease: _Lease
    _path: Path

    def __init__(self, lease: _Lease, path: Path = ()) -> None:
        object.__setattr__(self, "_lease", lease)
        object.__setattr__(self, "_path", path)

    def __repr__(self) -> str:
        return f"<Proxy {'.'.join(self._path)}>" if self._path else "<Proxy>"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Proxy cannot be sent on: it belongs to who wrapped the port. Send clone(proxy)'s "
            "port, which is wrapped where it arrives."
        )

    def __getattr__(self, name: str) -> Proxy:
        if name.startswith("__"):
            raise AttributeError(name)
        return Proxy(self._lease, (*self._path, name))

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, SET, (*self._path, name), (value,)).result()

    def __call__(self, *args: Any, **kwargs: Any) -> Reply:
        return _ask(self, CALL, self._path, args, kwargs)

    def __await__(self) -> Generator[Any, None, Any]:
        return fetch(self).__await__()


def wrap(port: MessagePort) -> Any:
    """
    Make a proxy of the object that is exposed on the other side of a port.

    When the last proxy of it is forgotten, the port is closed.

    Args:
        port: Not to be used for anything else.

    Returns:
        A ``Proxy``.

    Raises:
        TypeError: ``port`` is no ``MessagePort``.

    Source: Comlink, ``wrap``.
    """
    _check_port("wrap", port)
    return Proxy(_Lease(Connection(port)))


def fetch(proxy: Proxy) -> Reply:
    """
    Ask for the value that a proxy stands for.

    Args:
        proxy: Of an object, or of an attribute of one.

    Returns:
        A future of a copy.

    Raises:
        TypeError: ``proxy`` is none.
    """
    _check_proxy("fetch", proxy)
    return _ask(proxy, GET, proxy._path)


def construct(proxy: Proxy, /, *args: Any, **kwargs: Any) -> Reply:
    """
    Make an instance of a class that a proxy stands for.

    Args:
        proxy: Of the class.
        *args: Its arguments.
        **kwargs: Its keyword arguments.

    Returns:
        A future of a proxy of the instance, which stays on the other side.

    Raises:
        TypeError: ``proxy`` is none.
        Exception: What packing the arguments raises.

    Source: Comlink, ``new`` of a ``Remote``.
    """
    _check_proxy("construct", proxy)
    return _ask(proxy, CONSTRUCT, proxy._path, args, kwargs)


def clone(proxy: Proxy) -> Reply:
    """
    Ask for one more port to what a proxy stands for: to be sent on, and wrapped by who gets it.

    Args:
        proxy: Of an object.

    Returns:
        A future of a ``MessagePort``. It lives on when the proxy is released.

    Raises:
        TypeError: ``proxy`` is none.

    Source: Comlink, ``createEndpoint``.
    """
    _check_proxy("clone", proxy)
    return _ask(proxy, CLONE, proxy._path)


def release(proxy: Proxy) -> None:
    """
    Give up a proxy and all that were made of it: what waits for an answer fails at once.

    Args:
        proxy: Any one of them.

    Raises:
        TypeError: ``proxy`` is none.

    Source: Comlink, ``releaseProxy``.
    """
    _check_proxy("release", proxy)
    # Where a signal handler breaks this off, it is done again, as its every step may be.
    connection = proxy._lease.connection
    try:
        connection.close(RELEASED)
    except BaseException:
        connection.close(RELEASED)
        raise


def _check_proxy(caller: str, proxy: object) -> None:
    if not isinstance(proxy, Proxy):
        raise TypeError(f"{caller}() takes a Proxy, as wrap(port) makes it, not {shown(proxy)}")


def _ask(
    proxy: Proxy, kind: str, path: Path, args: tuple[Any, ...] = (), kwargs: Any = None
) -> Reply:
    lease = proxy._lease
    return lease.connection.request(kind, path, args, kwargs or {}, lease)

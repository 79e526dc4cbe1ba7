"""
Use an object that lives in a worker from here and from another worker, and let it call back.
"""

from collections.abc import Callable
from typing import Any

from webworker_executor import (
    MessageChannel,
    MessagePort,
    WebWorkerExecutor,
    clone,
    expose,
    fetch,
    proxy,
    release,
    wrap,
)


class Cellar:
    """What there shall be one of, for everybody."""

    def __init__(self) -> None:
        self.n_bottles = 0
        self._tell: Callable[[str], Any] | None = None

    def watch(self, tell: Callable[[str], Any]) -> None:
        """Tell somebody of all that happens."""
        self._tell = tell

    def store(self, count: int) -> int:
        """Put bottles in."""
        self.n_bottles += count
        return self.n_bottles

    def fetch_one(self) -> None:
        """Take a bottle out."""
        if not self.n_bottles:
            raise LookupError("the cellar is empty")
        self.n_bottles -= 1
        if self._tell is not None:
            self._tell(f"{self.n_bottles} left").result()


def open_cellar(port: MessagePort) -> None:
    """Make a cellar in a worker, which lives as long as the port is open."""
    expose(Cellar(), port)


def feast(port: MessagePort) -> str:
    """Be a task that uses the cellar of another worker."""
    cellar = wrap(port)
    for n_drunk in range(100):
        try:
            cellar.fetch_one().result()
        except LookupError as error:
            return f"{n_drunk} drunk, then {error}"
    return "all drunk"


with WebWorkerExecutor(max_workers=2) as executor:
    channel = MessageChannel()
    executor.options(worker=0).submit(open_cellar, channel.port2).result()
    cellar = wrap(channel.port1)

    # A method returns a future; an attribute is fetched.
    print("stored:", cellar.store(3).result())
    print("fetched:", fetch(cellar.n_bottles).result())

    # What is in proxy() stays here, and is called from there.
    cellar.watch(proxy(print)).result()

    # One port more, for somebody else.
    port = clone(cellar).result()
    print(executor.options(worker=1).submit(feast, port).result())

    # The object is dropped when nobody can call it any more.
    release(cellar)

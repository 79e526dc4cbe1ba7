"""
A channel's place in the station of its name: left when the channel is dropped, whatever happens.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.web.station import Station

_numbers = itertools.count()


class Seat:
    """
    What a channel has, and nobody else: it is left when it is dropped.

    Args:
        station: Where it is.
        finalizer: Makes a finalizer of a call, as `Reactor.finalizer` does.

    Attributes:
        number: One that none had before. A channel's ``id`` may be that of one that was dropped,
            and whose leaving still waits on the reactor.
    """

    # A finalizer of C: what a signal handler raises in one of Python is swallowed, and the channel
    # would stay in the station. Not the channel's own: a subclass of that may have another.
    __slots__ = ("__del__", "number", "station")

    def __init__(
        self, station: Station, finalizer: Callable[[Callable[[], object]], Callable[[], object]]
    ) -> None:
        self.station = station
        self.number = next(_numbers)
        self.__del__ = finalizer(partial(station.leave, self.number))

    def leave(self) -> None:
        """Leave now; again, where a signal handler has broken it off."""
        self.station.leave(self.number)
        # Nobody need wake the reactor for it.
        self.__del__ = bool

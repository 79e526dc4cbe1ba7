"""
Exceptions of every awkward kind, as the tests of failures raise them.

Not tests. A module of its own because a class must be importable to be found again.
"""

from __future__ import annotations

import threading
from typing import Any, NoReturn, Self


class WantsArguments(Exception):
    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code} because {reason}")
        self.code = code
        self.reason = reason


class WantsNew(Exception):
    def __new__(cls, first: int, second: int) -> Self:
        made = super().__new__(cls, first)
        made.total = first + second
        return made

    def __init__(self, first: int, second: int) -> None:
        pass

    total: int


class Reduced(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__("told")
        self.pair = (first, second)
        self.made_by = "init"

    def __reduce__(self) -> Any:
        return Reduced, self.pair, {"made_by": "reduce"}


class ReducedWrong(Exception):
    def __init__(self, first: int) -> None:
        super().__init__("told")
        self.first = first

    def __reduce__(self) -> Any:
        return ReducedWrong, ()


class ReducedToNone(Exception):
    def __reduce__(self) -> Any:
        return _nothing, ()


def _nothing() -> None:
    return None


class StateOfItsOwn(Exception):
    secret: object = None

    def __getstate__(self) -> Any:
        return {"secret": "from state"}


class BadSetState(Exception):
    value: object = None

    def __getstate__(self) -> Any:
        return {"value": 1}

    def __setstate__(self, state: object) -> None:
        raise SystemExit(3)


class Slotted(Exception):
    __slots__ = ("__hidden", "place", "unset")

    def __init__(self, place: object) -> None:
        super().__init__(place)
        self.place = place
        self.__hidden = "hidden"

    @property
    def hidden(self) -> str:
        return self.__hidden


class Falsy(Exception):
    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    __hash__ = None  # type: ignore[assignment]  # because that is the point


class Silent(Exception):
    def __str__(self) -> NoReturn:
        raise SystemExit("no text")

    __repr__ = __str__


class Endless(Exception):
    def __str__(self) -> str:
        return str(self)


class ExitsWhenReduced(Exception):
    def __reduce__(self) -> NoReturn:
        raise SystemExit(4)


class InterruptsWhenReduced(Exception):
    def __reduce__(self) -> NoReturn:
        raise KeyboardInterrupt


class Frozen(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("__"):
            raise AttributeError(name)
        super().__setattr__(name, value)


class OwnGroup(ExceptionGroup[Exception]):
    def __new__(cls, members: list[Exception], extra: int) -> Self:
        made = super().__new__(cls, "own", members)
        made.extra = extra
        return made

    extra: int


class WithLock(Exception):
    def __init__(self) -> None:
        super().__init__("locked")
        self.lock = threading.Lock()
        self.name = "kept"


def explode(error: type[BaseException] = ValueError) -> NoReturn:
    raise error("not here")


class Circular(Exception):
    """
    Is an argument of its own constructor.
    """

    def __reduce__(self) -> Any:
        return Circular, (self,)


class Vanishing(Exception):
    """
    Cannot be found by its name in the host: the test takes it away.
    """


class Explodes:
    """
    Pickles, but raises in the process that loads it.
    """

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return explode, (self.error,)


class Text(str):
    __slots__ = ()

    def __reduce__(self) -> Any:
        return explode, (ValueError,)


SHARED = ValueError("shared")


class ReducedToShared(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.__cause__ = ReducedToShared.__new__(ReducedToShared)

    def __reduce__(self) -> Any:
        return _shared, ()


def _shared() -> ValueError:
    return SHARED


class ReducedToText(Exception):
    def __reduce__(self) -> Any:
        return "a_global"


class BadState(Exception):
    def __getstate__(self) -> Any:
        return Explodes(ValueError)


class NoStateAtAll(Exception):
    def __getstate__(self) -> Any:
        raise SystemExit


class ReducedWithSetter(Exception):
    state: object = None

    def __reduce__(self) -> Any:
        return ReducedWithSetter, self.args, 1, None, None, _set_state


def _set_state(exc: ReducedWithSetter, state: object) -> None:
    exc.state = ("set", state)


class HostileToTraceback(Exception):
    def __getattr__(self, name: str) -> NoReturn:
        raise SystemExit(name)


class HostileToUs(Exception):
    pass


HostileToUs.__slots__ = 5  # type: ignore[attr-defined]  # that is the point

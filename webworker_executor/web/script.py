"""
What a worker is to run, as its maker says it: a path, a URL, a text, a module, a callable.

Not for reading any file: a script that does not exist is told by an event, not by an exception.
"""

from __future__ import annotations

import itertools
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from webworker_executor.web.location import WorkerLocation, whole_path
from webworker_executor.wire.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Script:
    """
    What a worker is to run.

    Attributes:
        kind: ``"path"``, ``"source"``, ``"module"`` or ``"callable"``.
        href: Its address, for ``scope.location``.
        argv: What ``sys.argv`` is there.
        path: Of the file.
        text: Of the source.
        filename: What the source is called in tracebacks, such as ``<worker:3>``.
        module: Its name.
        call: The callable and its arguments.
    """

    kind: str
    href: str
    argv: tuple[str, ...] = ()
    path: str = ""
    text: str = ""
    filename: str = ""
    module: str = ""
    call: tuple[Callable[..., object], tuple[Any, ...]] | None = None

    @property
    def title(self) -> str:
        """What a reader knows it by."""
        if self.call is not None:
            fn = self.call[0]
            name: str = getattr(fn, "__qualname__", type(fn).__qualname__)
            return name
        return self.path or self.filename or self.module

    def described(self) -> dict[str, Any]:
        """Return what the worker is told in the first frame."""
        names = ("kind", "href", "path", "text", "filename", "module")
        return {name: getattr(self, name) for name in names}


def make_script(
    script: object, source: str | None, module: str | None, argv: Sequence[Any]
) -> Script:
    """
    Make out what is to be run.

    Args:
        script: A path, a ``file:`` URL or a callable, or ``None``.
        source: A text.
        module: A name.
        argv: Arguments: texts, or what a callable takes.

    Raises:
        TypeError: None or more than one of them is given, or one is of the wrong type.
        ValueError: The URL is of a kind that cannot be loaded.
    """
    given = [what for what in (script, source, module) if what is not None]
    if len(given) != 1:
        raise TypeError(
            f"a worker runs one thing, and {len(given)} were given: a script, source=, module= or "
            "command="
        )
    if isinstance(argv, (str, bytes)):
        raise TypeError(f"argv must be a sequence of arguments, such as [{argv!r}], not a text")
    arguments = tuple(argv)
    if callable(script) and not isinstance(script, os.PathLike):
        own = tuple(getattr(sys, "argv", None) or ())
        return Script("callable", "about:callable", own, call=(script, arguments))
    for argument in arguments:
        if not isinstance(argument, str):
            raise TypeError(f"argv must be texts, and {shown(argument)} is none; see worker_data")
    if source is not None:
        filename = f"<worker:{next(_numbers)}>"
        _check_text("source", source)
        href = f"about:{quote(filename[1:-1])}"
        return Script("source", href, (filename, *arguments), text=source, filename=filename)
    if module is not None:
        _check_text("module", module)
        return Script("module", f"about:{quote(module)}", (module, *arguments), module=module)
    return _of_path(script, arguments)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, not {shown(value)}")


def _of_path(script: Any, arguments: tuple[str, ...]) -> Script:
    if not isinstance(script, (str, os.PathLike)):
        raise TypeError(
            f"a script is a path, a file: URL or a callable, not {shown(script)}; for text use "
            "source="
        )
    path = os.fspath(script)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not path:
        raise ValueError("a script needs a path, and this one is empty")
    tail = ""
    if isinstance(script, str):
        path, tail = _parts(path)
    path = whole_path(path)
    href = f"file://{quote(path)}{tail}"
    return Script("path", href, (path, *arguments), path=path)


def _parts(text: str) -> tuple[str, str]:
    """Part a path from a query and a fragment, which are for the script to look at."""
    scheme, colon, _ = text.partition(":")
    if colon and scheme.lower() == "file":
        location = WorkerLocation(text)
        if location.hostname not in {"", "localhost"}:
            raise ValueError(f"{text} is on another machine; a script must be a file of this one")
        return location.path, location.search + location.hash
    if colon and text[len(scheme) :].startswith("://"):
        raise ValueError(f"{text} cannot be loaded: a script is a path or a file: URL")
    if os.path.exists(whole_path(text)):
        # A file that is really called like this.
        return text, ""
    cut = min((text.find(mark) for mark in "?#" if mark in text), default=len(text))
    return text[:cut], text[cut:]

"""
Where a script was loaded from, as an address in parts, and what lies beside it.

Not parsed before somebody looks at a part: every script has one, and few look.

Source: HTML, ``WorkerLocation`` and "API base URL"; URL, "API".
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from urllib.parse import SplitResult


# The folder of the script that this process runs, and whose it is: a worker that is forked from
# this process has a script of its own, or none.
_folder: tuple[int, str] | None = None


def be_in(folder: str) -> None:
    """Take note of the folder of the script that this process runs as a worker."""
    global _folder
    _folder = os.getpid(), folder


def whole_path(path: str) -> str:
    """Return the whole path: beside the script that this worker runs, if there is such a file."""
    if _folder is not None and _folder[0] == os.getpid():
        beside = os.path.normpath(os.path.join(_folder[1], path))
        if os.path.isfile(beside):
            return beside
    return os.path.abspath(path)


class WorkerLocation:
    """
    An address. It cannot be changed.

    Args:
        href: The whole address.
    """

    __slots__ = ("_href",)

    _href: str

    def __init__(self, href: str) -> None:
        object.__setattr__(self, "_href", href)

    @property
    def _parts(self) -> SplitResult:
        from urllib.parse import urlsplit

        return urlsplit(self._href)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a location cannot be changed: {name!r} of {self._href} stays")

    def __str__(self) -> str:
        return self._href

    def __repr__(self) -> str:
        return f"<WorkerLocation {self._href}>"

    def __eq__(self, other: object) -> bool:
        return self._href == other._href if isinstance(other, WorkerLocation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._href)

    def __reduce__(self) -> tuple[type[WorkerLocation], tuple[str]]:
        return WorkerLocation, (self._href,)

    @property
    def href(self) -> str:
        """The whole address, such as ``"file:///srv/worker.py?level=3#top"``."""
        return self._href

    @property
    def protocol(self) -> str:
        """Its scheme with a colon: ``"file:"``."""
        return f"{self._parts.scheme}:"

    @property
    def host(self) -> str:
        """The machine and its port; ``""`` for files."""
        return self._parts.netloc

    @property
    def hostname(self) -> str:
        """The machine; ``""`` for files."""
        return self._parts.hostname or ""

    @property
    def port(self) -> str:
        """The port as text, ``""`` if none is given."""
        return "" if self._parts.port is None else str(self._parts.port)

    @property
    def pathname(self) -> str:
        """The path, percent-encoded as in the address."""
        return self._parts.path

    @property
    def search(self) -> str:
        """``"?"`` and the query, ``""`` if there is none."""
        return f"?{self._parts.query}" if self._parts.query else ""

    @property
    def hash(self) -> str:
        """``"#"`` and the fragment, ``""`` if there is none."""
        return f"#{self._parts.fragment}" if self._parts.fragment else ""

    @property
    def origin(self) -> str:
        """Scheme, machine and port; ``"null"`` for files, which belong to nobody."""
        return f"{self._parts.scheme}://{self._parts.netloc}" if self._parts.netloc else "null"

    @property
    def path(self) -> str:
        """The path of the file, decoded."""
        from urllib.parse import unquote

        return unquote(self._parts.path)

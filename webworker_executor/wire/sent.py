"""
Remember what was last sent of each global variable.

For: telling whether what was packed earlier still says what workers go by. The functions of one
module share their globals there, so what came along with one of them counts for all.
Not for: what a worker has heard of. Whatever was packed may have been sent to any of them.
A changer must know: a definition that is older than another word about one of its globals must be
packed anew, though the function and all that it refers to are what they were then.
"""

from __future__ import annotations

from itertools import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["is_older", "latest", "note"]

# By the name of the globals and that of the variable: what told its content, and when that was new.
_sent: dict[tuple[str, str], tuple[object, int]] = {}
_times = count(1)
_latest = [0]


def note(namespace: str, versions: Mapping[str, object]) -> None:
    """
    Note what goes along with a function or class.

    Args:
        namespace: Of the globals, as `origin.namespace_of` gives it.
        versions: What tells the content of each, as `version` gives it.
    """
    for name, token in versions.items():
        before = _sent.get((namespace, name))
        if before is None:
            _sent[namespace, name] = token, 0
        elif before[0] != token:
            _latest[0] = time = next(_times)
            _sent[namespace, name] = token, time


def latest() -> int:
    """Return when something else than before was sent of any global, as a number that grows."""
    return _latest[0]


def is_older(time: int, places: Iterable[tuple[str, str]]) -> bool:
    """
    Tell whether something else was sent since of any of these globals.

    Args:
        time: What `latest` said when they were packed.
        places: The name of the globals and that of the variable, each.
    """
    return any(_sent.get(place, (None, 0))[1] > time for place in places)

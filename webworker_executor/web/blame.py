"""
What an error of packing says of the part that was to blame.

Not the search for it (``culprit``), which is imported only when something could not be packed.
Where it cannot be imported, because no descriptor is left for one, the error stays as it is: it
must not be replaced by another. A worker imports this module at its start, so it imports the least.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def point_out(
    exc: BaseException,
    parts: Mapping[str, object],
    pack: Callable[[object], object] | None = None,
) -> None:
    """
    Add a note to what packing has raised, as ``culprit.point_out`` does.

    Args:
        exc: The error. What is no ``Exception``, such as Ctrl-C, says nothing of a part, and nobody
            is to wait for a search then.
        parts: What was packed, each by the name that its user knows it by.
        pack: How a part is tried; as that of an argument or a result if not given.
    """
    if not isinstance(exc, Exception):
        return
    try:
        from webworker_executor.web import culprit
    except Exception:
        return
    culprit.point_out(exc, parts, pack or culprit.pack_for_task)


def clone_error(message: object, exc: Exception) -> Exception:
    """
    Say why a message cannot be sent, as ``culprit.clone_error`` does.

    Args:
        message: The message.
        exc: What packing it has raised, which is returned where nothing can be found out.
    """
    try:
        from webworker_executor.web import culprit
    except Exception:
        return exc
    return culprit.clone_error(message, exc)

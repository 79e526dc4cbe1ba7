"""
The text that ``faulthandler`` writes: where one dump of all threads ends, and where a crash begins.

Not for tracebacks of exceptions (``stack``). A changer must know: the text is written by a signal
handler in C while threads run, has no mark at its end, and may be cut anywhere; what is asked here
is never more than where a line ``Thread 0x...`` stands.

Source: CPython, Python/traceback.c, ``_Py_DumpTracebackThreads``.
"""

from __future__ import annotations

_FATAL = "Fatal Python error: "
_HEADERS = ("Thread 0x", "Current thread 0x")


def first_dump(text: str) -> str | None:
    """
    Return the first whole dump of a text.

    A dump names each thread once. So it is whole when a thread comes for the second time, which is
    why dumps are asked for twice.

    Args:
        text: What has come so far, from wherever a dump may have begun.

    Returns:
        The dump without blank lines around it, ``None`` while it may not be whole.
    """
    seen: set[str] = set()
    kept: list[str] = []
    for line in text.splitlines():
        if line.startswith(_HEADERS):
            thread = line[line.index("0x") :].split(" ", 1)[0]
            if thread in seen:
                return "\n".join(kept).strip()
            seen.add(thread)
        # What stands before the first thread is the rest of another dump.
        if seen:
            kept.append(line)
    return None


def begun_dump(text: str) -> str:
    """
    Return what there is of the first dump of a text, whole or not.

    Args:
        text: What has come so far.

    Returns:
        The beginning of the dump, empty if none has begun.
    """
    starts = [at for at in map(text.find, _HEADERS) if at >= 0]
    begun = text[min(starts) :] if starts else ""
    return first_dump(begun) or begun.strip()


def fatal_dump(text: str) -> str | None:
    """
    Return what a dying process had to say.

    Args:
        text: All that it wrote.

    Returns:
        From the last ``Fatal Python error`` on; ``None`` if it died otherwise.
    """
    at = text.rfind(_FATAL)
    return text[at:].strip() if at >= 0 else None

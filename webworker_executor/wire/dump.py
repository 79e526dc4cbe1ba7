"""
The text that ``faulthandler`` writes: where a dump of all threads begins, and where a crash does.

Not for tracebacks of exceptions (``stack``). A changer must know: the text is written by a signal
handler in C while threads run, has no mark at its end, and may be cut anywhere; what is asked here
is never more than where a line ``Thread 0x...`` stands.

Source: CPython, Python/traceback.c, ``_Py_DumpTracebackThreads``.
"""

from __future__ import annotations

_FATAL = "Fatal Python error: "
_HEADERS = ("Thread 0x", "Current thread 0x")


def thread_dump(text: str) -> str:
    """
    Return the stacks of all threads.

    Args:
        text: What has come; in front of the first thread may stand the rest of an earlier dump.

    Returns:
        From the first thread on, without blank lines around it; empty if there is none.
    """
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith(_HEADERS):
            return "\n".join(lines[number:]).strip()
    return ""


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

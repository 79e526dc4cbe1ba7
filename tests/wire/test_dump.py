"""
Tests of `webworker_executor.wire.dump`: dumps are found in the text of a signal handler.
"""

from __future__ import annotations

import faulthandler
import tempfile
import threading

from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.wire.dump import fatal_dump, thread_dump

idents = st.lists(st.integers(1, 2**48), min_size=1, max_size=5, unique=True)
lines = st.lists(st.sampled_from(['  File "a.py", line 1 in f', "  <no Python frame>"]), max_size=3)


def dump_of(threads: list[int], frames: list[str]) -> str:
    texts = [
        "\n".join([f"Thread 0x{ident:016x} (most recent call first):", *frames])
        for ident in threads
    ]
    return "\n\n".join(texts) + "\n"


@given(idents, lines, st.text("abc \n"))
def test_a_dump_begins_with_its_first_thread(
    threads: list[int], frames: list[str], rest: str
) -> None:
    """
    What stands before that belongs to nobody.
    """
    dump = dump_of(threads, frames)
    assert dump.strip() == thread_dump(dump)
    assert dump.strip() == thread_dump(f"{rest}\n{dump}")
    assert "" == thread_dump(rest)


@given(idents, lines, st.data())
def test_a_dump_may_be_cut_anywhere(
    threads: list[int], frames: list[str], data: st.DataObject
) -> None:
    """
    What there is of it is given.
    """
    dump = dump_of(threads, frames)
    text = dump[: data.draw(st.integers(0, len(dump)))]
    assert thread_dump(text) in {"", text.strip()}


def test_what_faulthandler_writes_is_understood() -> None:
    """
    Of this very interpreter, with two threads.
    """
    is_over = threading.Event()
    thread = threading.Thread(target=is_over.wait)
    thread.start()
    try:
        with tempfile.TemporaryFile() as file:
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            text = file.read().decode()
    finally:
        is_over.set()
        thread.join()
    dump = thread_dump(text)
    assert dump.count("most recent call first") >= 2
    assert "test_what_faulthandler_writes_is_understood" in dump


def test_the_last_words_of_a_process_are_found() -> None:
    """
    Whatever was asked of it before.
    """
    dump = dump_of([1], [])
    fatal = f"Fatal Python error: Segmentation fault\n\n{dump_of([2], [])}"
    assert fatal.strip() == fatal_dump(dump + fatal)
    assert None is fatal_dump(dump)

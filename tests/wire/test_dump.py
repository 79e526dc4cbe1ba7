"""
Tests of `webworker_executor.wire.dump`: dumps are found in the text of a signal handler.
"""

from __future__ import annotations

import faulthandler
import tempfile
import threading

from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.wire.dump import begun_dump, fatal_dump, first_dump

idents = st.lists(st.integers(1, 2**48), min_size=1, max_size=5, unique=True)
lines = st.lists(st.sampled_from(['  File "a.py", line 1 in f', "  <no Python frame>"]), max_size=3)


def dump_of(threads: list[int], frames: list[str]) -> str:
    texts = [
        "\n".join([f"Thread 0x{ident:016x} (most recent call first):", *frames])
        for ident in threads
    ]
    return "\n\n".join(texts) + "\n"


@given(idents, lines)
def test_a_dump_is_whole_when_it_begins_again(threads: list[int], frames: list[str]) -> None:
    """
    Of two in a row the first is found, and one alone may not be whole.
    """
    dump = dump_of(threads, frames)
    assert None is first_dump(dump)
    assert dump.strip() == first_dump(dump + dump)


@given(idents, lines, st.data())
def test_a_dump_is_never_found_too_early(
    threads: list[int], frames: list[str], data: st.DataObject
) -> None:
    """
    However much of the second has come, the first is whole or not there at all.
    """
    dump = dump_of(threads, frames)
    text = (dump + dump)[: data.draw(st.integers(0, 2 * len(dump)))]
    assert first_dump(text) in {None, dump.strip()}
    assert len(text) > len(dump) or begun_dump(text) in dump


def test_the_rest_of_another_dump_is_left_out() -> None:
    """
    What stands before the first thread belongs to nobody.
    """
    dump = dump_of([1, 2], ["  <no Python frame>"])
    assert dump.strip() == first_dump('line 7 in g\n  File "b.py"\n' + dump + dump)
    assert "" == begun_dump('line 7 in g\n  File "b.py"\n')


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
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            text = file.read().decode()
    finally:
        is_over.set()
        thread.join()
    dump = first_dump(text)
    assert dump is not None
    assert 2 == dump.count("most recent call first")
    assert "test_what_faulthandler_writes_is_understood" in dump


def test_the_last_words_of_a_process_are_found() -> None:
    """
    Whatever was asked of it before.
    """
    dump = dump_of([1], [])
    fatal = f"Fatal Python error: Segmentation fault\n\n{dump_of([2], [])}"
    assert fatal.strip() == fatal_dump(dump + fatal)
    assert None is fatal_dump(dump)

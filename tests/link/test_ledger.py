"""
Tests of `webworker_executor.link.ledger`: what a worker noted is read after its death.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal

import pytest

from webworker_executor.link.ledger import UNKNOWN_ENTRY, Ledger
from webworker_executor.wire.kinds import LEDGER_ENTRY, LEDGER_ENTRY_NBYTES


def test_entries_are_claimed_once() -> None:
    """
    Each process has an entry of its own, and there are as many as were asked for.
    """
    ledger = Ledger(3)
    assert [0, 1, 2, UNKNOWN_ENTRY] == [ledger.claim() for _ in range(4)]
    ledger.close()


def test_released_entry_can_be_claimed() -> None:
    """
    The entry of a dead process serves the next one.
    """
    ledger = Ledger(2)
    ledger.claim()
    second = ledger.claim()
    ledger.release(second)
    assert [second, UNKNOWN_ENTRY] == [ledger.claim(), ledger.claim()]
    ledger.close()


def test_unknown_entry_is_never_given_out() -> None:
    """
    To release what was never claimed changes nothing; what it began is not known.
    """
    ledger = Ledger(1)
    ledger.release(UNKNOWN_ENTRY)
    assert (0, UNKNOWN_ENTRY) == (ledger.claim(), ledger.claim())
    assert (None, None) == (ledger.begun(UNKNOWN_ENTRY), ledger.begun_at(UNKNOWN_ENTRY, 1))
    ledger.close()


def recall_in(ledger: Ledger, entry: int) -> int:
    """Read, as its worker does, the number of the last recall of everything."""
    with mmap.mmap(ledger.fd, 0) as other:
        return other[entry * LEDGER_ENTRY_NBYTES + LEDGER_ENTRY.size]


def test_a_recall_stands_beside_what_the_worker_notes() -> None:
    """
    The lowest byte of its number, and none with each process that gets the entry.
    """
    ledger = Ledger(2)
    first, second = ledger.claim(), ledger.claim()
    with mmap.mmap(ledger.fd, 0) as other:
        LEDGER_ENTRY.pack_into(other, second * LEDGER_ENTRY_NBYTES, 1.5, 7)
    ledger.withhold(second, 258)
    ledger.withhold(second, 258)
    assert (0, 2) == (recall_in(ledger, first), recall_in(ledger, second))
    assert (7, 1.5) == (ledger.begun(second), ledger.begun_at(second, 7))
    ledger.release(second)
    assert 0 == recall_in(ledger, ledger.claim())
    ledger.close()


def test_note_of_another_mapping_is_seen() -> None:
    """
    What is written through the descriptor, as a worker does, is what the host reads.
    """
    ledger = Ledger(200)
    entries = [ledger.claim() for _ in range(200)]
    with mmap.mmap(ledger.fd, 0) as other:
        for entry in entries:
            LEDGER_ENTRY.pack_into(other, entry * LEDGER_ENTRY_NBYTES, 1.5, 2**64 - 1 - entry)
    assert [2**64 - 1 - entry for entry in entries] == [ledger.begun(entry) for entry in entries]
    ledger.close()


def test_claimed_entry_is_cleared() -> None:
    """
    A new process is not taken for having begun what its predecessor began.
    """
    ledger = Ledger(1)
    entry = ledger.claim()
    with mmap.mmap(ledger.fd, 0) as other:
        LEDGER_ENTRY.pack_into(other, entry * LEDGER_ENTRY_NBYTES, 1.5, 7)
    assert 7 == ledger.begun(entry)
    assert (1.5, None) == (ledger.begun_at(entry, 7), ledger.begun_at(entry, 8))
    ledger.release(entry)
    assert 0 == ledger.begun(ledger.claim())
    ledger.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_note_of_a_killed_process_is_seen() -> None:
    """
    A process that was killed right after its note has left it.
    """
    ledger = Ledger(2)
    entries = [ledger.claim(), ledger.claim()]
    pid = os.fork()
    if pid == 0:
        try:
            other = mmap.mmap(ledger.fd, 0)
            LEDGER_ENTRY.pack_into(other, entries[1] * LEDGER_ENTRY_NBYTES, 1.5, 42)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert -signal.SIGKILL == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert [0, 42] == [ledger.begun(entry) for entry in entries]
    ledger.close()


def test_descriptor_is_close_on_exec() -> None:
    """
    No program inherits the ledger by accident.
    """
    ledger = Ledger(1)
    assert not os.get_inheritable(ledger.fd)
    ledger.close()


def test_refused_ledger_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    When the memory cannot be had, the error comes out and the descriptor is closed.
    """

    def refuse(fd: int, nbytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "ftruncate", refuse)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="No space left"):
        Ledger(1)
    assert before == os.listdir("/proc/self/fd")

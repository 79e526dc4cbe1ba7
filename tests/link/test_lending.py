"""
Tests of `webworker_executor.link.lending`: what a link does before a frame that lends memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webworker_executor.link.lending import Lending
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import MESSAGE, NAMES, Frame

if TYPE_CHECKING:
    from webworker_executor.link.reactor import Reactor


def make(reactor: Reactor) -> tuple[Lending, FrameDecoder, list[Any]]:
    decoder, queued = FrameDecoder(frozenset(NAMES)), list[Any]()
    return Lending(reactor, decoder, queued.append, lambda: None), decoder, queued


def test_who_lends_nothing_pays_nothing(reactor: Reactor) -> None:
    """
    A link without large buffers has no account, and its frames pass as they are.
    """
    lending, _, queued = make(reactor)
    frames = [Frame(MESSAGE, 0, b"")]
    assert frames is lending.resolved(frames)
    lending.lend([b"a frame"])
    lending.close()
    assert not lending.is_used
    assert [] == queued


def test_sharing_opens_an_account(reactor: Reactor) -> None:
    """
    The first frame that names shared memory makes what answers for it.
    """
    lending, decoder, _ = make(reactor)
    decoder.is_sharing = True
    assert [] == lending.resolved([])
    assert lending.is_used
    assert not decoder.is_sharing
    lending.close()

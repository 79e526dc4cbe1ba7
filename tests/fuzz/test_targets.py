"""
Tests of the decoders against bytes of any kind: what a fuzzer once found, and what chance brings.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_known(target: str) -> None:
    """
    What is really sent, and what was found to break a decoder once, is borne.
    """
    for seed in seeds_of(target):
        TARGETS[target](seed)


@settings(max_examples=300)
@given(st.sampled_from(sorted(TARGETS)), st.data())
def test_what_chance_brings(target: str, data: st.DataObject) -> None:
    """
    So is noise, and what is really sent with some of it overwritten, left out or put twice.
    """
    seed = data.draw(st.sampled_from(seeds_of(target)))
    at, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(seed))] * 2)))
    noise = data.draw(st.binary(max_size=64))
    for changed in (noise, seed[:at] + noise + seed[stop:], seed[:stop] + seed[at:]):
        TARGETS[target](changed)

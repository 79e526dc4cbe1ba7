"""
Look for bytes that a decoder cannot bear, guided by the lines that they reach.

``python -m tests.fuzz frames --seconds 900``; needs ``atheris``, as ``tox -e fuzz`` has it. What it
finds stands in a file ``crash-...`` then: put it into ``tests/fuzz/corpus/<target>/``, where
``test_targets`` tries it in every run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["webworker_executor.wire"]):
    from tests.fuzz.seeds import seeds_of
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz one target for a time; ends with status 77 at the first input that breaks a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds_of(arguments.target)):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        atheris.Setup(
            [
                sys.argv[0],
                corpus,
                f"-max_total_time={arguments.seconds}",
                "-max_len=4096",
                "-timeout=10",
                "-rss_limit_mb=1024",
                "-print_final_stats=1",
            ],
            TARGETS[arguments.target],
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()

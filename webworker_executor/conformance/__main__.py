"""Hands over to the command line: `python -m webworker_executor.conformance`."""

from __future__ import annotations

import sys

from webworker_executor.conformance.command import main

if __name__ == "__main__":
    sys.exit(main())

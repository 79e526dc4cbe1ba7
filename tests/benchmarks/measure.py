"""
``python -m tests.benchmarks.measure WORKLOAD CONTENDER``: one measurement, in this interpreter.

It writes a line of JSON for each figure as it comes, and a last one that says why there are no
more. Workers that are spawned import this module again, so it imports nothing by itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def figures_of(name: str, contender_name: str, quick: bool) -> Iterator[tuple[str, float]]:
    """
    Measure.

    Args:
        name: Of the workload.
        contender_name: Of the contender, or "limit".
        quick: Whether small sizes will do.

    Yields:
        The key of a metric and its value.

    Raises:
        Unable: If the contender has no way to do it.
    """
    from tests.benchmarks import workloads
    from tests.benchmarks.contender import CONTENDERS, LIMIT
    from tests.benchmarks.metric import Unable

    workload = workloads.load(name)
    if contender_name != LIMIT:
        yield from workload.measure(CONTENDERS[contender_name], quick)
    elif workload.limit is None:
        raise Unable("has no limit that could be measured")
    else:
        yield from workload.limit(quick)


def main() -> None:
    """Write the figures of the measurement that the arguments name."""
    import json
    import sys
    import traceback

    from tests.benchmarks.metric import Unable

    name, contender_name, *options = sys.argv[1:]
    reason, is_unable = "", False
    try:
        for key, value in figures_of(name, contender_name, "--quick" in options):
            sys.stdout.write(json.dumps({"key": key, "value": value}) + "\n")
            sys.stdout.flush()
    except Unable as error:
        reason, is_unable = str(error), True
    except Exception as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    sys.stdout.write(json.dumps({"reason": reason, "is_unable": is_unable}) + "\n")


if __name__ == "__main__":
    main()

"""
Catch an exception that a worker raised.
"""

import traceback

from webworker_executor import WebWorkerExecutor


def parse(line: str) -> int:
    """Read the number after the colon."""
    return int(line.partition(":")[2])


with WebWorkerExecutor(max_workers=2) as executor:
    futures = [executor.submit(parse, line) for line in ("one: 1", "two: zwei", "three: 3")]
    for future in futures:
        try:
            print("parsed:", future.result())
        except ValueError as error:
            origin = traceback.extract_tb(error.__traceback__)[-1]
            print("error:", error)
            print(f"raised in {origin.name}(), at: {origin.line}")

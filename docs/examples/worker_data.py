"""
Give every worker the same data, once.
"""

from webworker_executor import WebWorkerExecutor, scope

prices = {"tea": 250, "cake": 390, "jam": 120}


def cost(*names: str) -> int:
    """Add up what the things cost, by the worker's own copy of the prices."""
    return sum(scope.worker_data[name] for name in names)


with WebWorkerExecutor(max_workers=2, worker_data=prices) as executor:
    print(executor.submit(cost, "tea", "cake").result())
    print(list(executor.map(cost, ["cake", "jam"])))

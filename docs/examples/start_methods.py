"""
Start workers in each of the ways there are.
"""

import multiprocessing

from webworker_executor import WebWorkerExecutor

primes = [2, 3, 5]


def product() -> int:
    """Multiply the primes that the worker finds in its main module."""
    result = 1
    for prime in primes:
        result *= prime
    return result


for launcher in ("spawn", "zygote", "fork"):
    with WebWorkerExecutor(max_workers=2, launcher=launcher) as executor:
        print(f"{launcher}:", executor.submit(product).result())

with WebWorkerExecutor(max_workers=2, mp_context=multiprocessing.get_context("spawn")) as executor:
    print("mp_context:", executor.submit(product).result())

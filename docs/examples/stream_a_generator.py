"""
Take the items of a generator as a worker makes them, and stop when there are enough.
"""

from collections.abc import Iterator

from webworker_executor import WebWorkerExecutor


def primes() -> Iterator[int]:
    """Yield prime numbers without an end."""
    number = 2
    while True:
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            yield number
        number += 1


with WebWorkerExecutor(max_workers=2) as executor, executor.stream(primes) as stream:
    for prime in stream:
        if prime > 30:
            break
        print(prime, end=" ")

print("\nthe worker has stopped, too")

"""
Keep an event loop free while workers compute.
"""

import asyncio
import math

from webworker_executor import WebWorkerExecutor


def count_primes(below: int) -> int:
    """Count the primes, the slow way."""
    numbers = range(2, below)
    return sum(all(n % factor for factor in range(2, math.isqrt(n) + 1)) for n in numbers)


async def heartbeat(beats: list[float]) -> None:
    """Note the time over and over: only a loop that is free can."""
    while True:
        beats.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.001)


async def main() -> None:
    """Await many calls at once, and one with a time limit."""
    loop = asyncio.get_running_loop()
    beats: list[float] = []
    heart = asyncio.create_task(heartbeat(beats))
    with WebWorkerExecutor(max_workers=2) as executor:
        limits = [10, 100, 1000, 10000]
        calls = [loop.run_in_executor(executor, count_primes, limit) for limit in limits]
        for limit, count in zip(limits, await asyncio.gather(*calls), strict=True):
            print(f"{count} primes below {limit}")
        async with asyncio.timeout(30):
            print("in time:", await loop.run_in_executor(executor, count_primes, 1000))
    heart.cancel()
    print("the loop was free:", len(beats) > 1)


asyncio.run(main())

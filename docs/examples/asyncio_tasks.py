"""
Run coroutine functions in workers, and leave the block without blocking the loop.
"""

import asyncio

from webworker_executor import WebWorkerExecutor


async def read(host: str) -> str:
    """Stand for what waits for a server, and then computes."""
    await asyncio.sleep(0.01)
    return host.upper()


async def rest() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


async def main() -> None:
    """Await what workers await."""
    async with WebWorkerExecutor(max_workers=2) as executor:
        print(await executor.submit(read, "one"))
        print(list(executor.map(read, ["two", "three"])))
        try:
            async with asyncio.timeout(1):
                await executor.options(cancel_running=True).submit(rest)
        except TimeoutError:
            print("given up")


asyncio.run(main())

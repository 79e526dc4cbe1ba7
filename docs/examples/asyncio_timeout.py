"""
Stop a task when asyncio gives it up.
"""

import asyncio
import time

from webworker_executor import WebWorkerExecutor


async def main() -> None:
    """Wait for a task that takes too long, and then for one that does not."""
    loop = asyncio.get_running_loop()
    with WebWorkerExecutor(max_workers=1) as executor:
        impatient = executor.options(cancel_running=True)
        await loop.run_in_executor(impatient, abs, -1)
        started = time.monotonic()
        try:
            async with asyncio.timeout(0.5):
                await loop.run_in_executor(impatient, time.sleep, 60)
        except TimeoutError:
            print("given up")
        print(await loop.run_in_executor(impatient, abs, -2))
        print("at once:", time.monotonic() - started < 30)


asyncio.run(main())

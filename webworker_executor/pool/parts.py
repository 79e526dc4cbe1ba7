"""
The parts of one pool, as they are handed to whoever works on all of them.

Not for what they do: each part has a module of its own. To be made once for each pool: whoever has
two records has two pools.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.pool.broken import Breakage
    from webworker_executor.pool.chronicle import Chronicle
    from webworker_executor.pool.crew import Crew
    from webworker_executor.pool.promises import Promises
    from webworker_executor.pool.steps import Steps
    from webworker_executor.rules import action as do
    from webworker_executor.rules.scheduler import Scheduler


class PoolParts:
    """
    What a pool consists of.

    Args:
        scheduler: Who decides.
        promises: The unresolved calls.
        crew: The processes.
        breakage: What broke the pool, if anything did.
        steps: Where events go.
        chronicle: Who tells what happened.
    """

    __slots__ = ("breakage", "chronicle", "crew", "promises", "scheduler", "steps")

    def __init__(
        self,
        scheduler: Scheduler,
        promises: Promises,
        crew: Crew,
        breakage: Breakage,
        steps: Steps[do.Actions],
        chronicle: Chronicle,
    ) -> None:
        self.scheduler = scheduler
        self.promises = promises
        self.crew = crew
        self.breakage = breakage
        self.steps = steps
        self.chronicle = chronicle

"""
What the tests of faults share: the pool and the gate of the pool's tests.
"""

from tests.pool.conftest import gate, pool

__all__ = ["gate", "pool"]

"""Form: bytes to values and back. Pure; see the modules."""

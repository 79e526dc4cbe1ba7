"""Asks any executor what it makes of the faults that programs meet."""

"""
Decide what happens next: events in, actions out.

For the states of tasks and workers and for the choice of who runs what. Not for doing any of it:
there is no socket, thread, clock, lock or future on this floor, so that every rule can be tested in
microseconds.
"""

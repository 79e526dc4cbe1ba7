"""Outside: the pool of workers and its ``concurrent.futures`` face."""

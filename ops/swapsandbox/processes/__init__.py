"""Redis, and servers of ours, as child processes."""

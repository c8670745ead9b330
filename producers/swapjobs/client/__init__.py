"""What producers import: the client of the queue in Redis, and the same over HTTP."""

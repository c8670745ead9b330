"""The client of a queue that is reached through its HTTP gateway."""

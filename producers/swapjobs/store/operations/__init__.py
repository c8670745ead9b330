"""What is done by hand: to all jobs that fit a filter; and the log of who did what."""

"""One attempt at a job: its named steps, and what follows from each outcome."""

"""The console: the jobs in a browser, for those who operate the queue and those who answer its users."""

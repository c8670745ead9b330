"""swapjobs submit-batch: a file of rows becomes jobs, and is watched to its end."""

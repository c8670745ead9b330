"""swapjobs demo: real faces through the whole queue."""

"""Streams of rows become jobs."""

"""A batch as one HTML page."""

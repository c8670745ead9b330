"""Loops and guards of a worker process; nothing here knows Celery."""

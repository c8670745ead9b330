"""What subclasses Celery or kombu."""

"""A Django project. Its Celery app is loaded with it, so that `swap` finds it."""

from shop.celery import app

__all__ = ["app"]

"""The settings of a small Django project, with Celery's among them."""

import os

SECRET_KEY = "only an example"  # noqa: S105 - not served anywhere
INSTALLED_APPS = ["shop"]
CELERY_BROKER_URL = CELERY_RESULT_BACKEND = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")  # noqa: TID251 - a product's own

"""Put a customer's face on a shirt: `python order.py PORTRAIT_URL SHIRT_URL`."""

from __future__ import annotations

import sys

from celery import chain
from shop.tasks import portrait_of, show

from swapjobs.celery import swap

portrait_url, shirt_url = sys.argv[1:]
result = chain(portrait_of.s(portrait_url), swap.s(target_url=shirt_url), show.s()).apply_async()
print(result.get(timeout=120))

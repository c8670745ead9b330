"""The job message: the smallest Celery message that makes a stock worker look at a job.

The job's record is the truth, so a message carries the task's name and the job's id and nothing else: no URL, no
secret.
The functions in Redis push it, so it is a template; `test_celery_message.py` holds it against the message
that the installed Celery itself would send.
"""

from __future__ import annotations

import json
from typing import Final

from swapjobs.store import keys

SWAP_TASK: Final = "swapjobs.swap"
DELIVER_TASK: Final = "swapjobs.deliver"
READ_TASK: Final = "swapjobs.read"
ID: Final = "%id%"
WEBHOOK_SUFFIX: Final = ".webhook"  # else Flower would show a job and its webhook as one task


def template(lane: str, task: str | None = None) -> str:
    """Return the message for `lane` with `ID` where the job's id goes; without a `task`, of what the lane is for."""
    queue, usual = (keys.WEBHOOKS_QUEUE, DELIVER_TASK) if lane == keys.WEBHOOKS else (keys.SWAPS_QUEUE, SWAP_TASK)
    task = task or usual
    task_id = f"{ID}{WEBHOOK_SUFFIX}" if lane == keys.WEBHOOKS else ID
    message = {
        "body": "[[],{},{}]",
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": task, "id": task_id},
        "properties": {
            "correlation_id": ID,
            "delivery_tag": ID,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": keys.PRIORITY_STEPS[lane == keys.BULK],
        },
    }
    return json.dumps(message, separators=(",", ":"))

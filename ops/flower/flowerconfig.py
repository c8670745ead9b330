"""Flower's configuration: `swapjobs flower` and docker-compose use it. Options on the command line go before it.

Access: on loopback the pages are open and the HTTP API is closed. Set FLOWER_BASIC_AUTH=user:password for both; without
it Flower does not start on any other address.
"""

import ast
import asyncio
import os
import re
from html import escape
from pathlib import Path
from typing import Any

from tornado.options import options
from tornado.template import Loader, Template

from flower import events, urls, views
from swapjobs.contract.job import is_job_id
from swapjobs.contract.urls import is_loopback
from swapjobs.settings import WorkerSettings, load_settings
from swapjobs.store import celery_message, keys
from swapworker.app import app

port = 5555
natural_time = False
max_tasks = 20_000
purge_offline_workers = 60  # who is missed is told by `swapjobs doctor`
inspect_timeout = 2000.0

# What a person on call looks for: which job, how it stands, since when, where, why. Left out: retries (a new attempt is
# no Celery retry, so it is always 0), args and kwargs (empty by design). A long reason pushes only the worker aside.
tasks_columns = "uuid,state,name,received,runtime,exception,worker"

# Flower's /api/task/result would hand out the whole record, signed URLs too. `swapjobs status ID` is for that.
app.conf.result_backend = "disabled://"


def format_task(task: Any) -> Any:
    """Show a reason as its bare text, and only where it is the reason of what the task's state says."""
    quoted = re.search(r"""(?:SwapFailed|VendorTrouble)\(('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", task.exception or "")
    if quoted:
        task.exception = ast.literal_eval(quoted[1])
    if task.state not in {"FAILURE", "RETRY"}:
        task.exception = None  # the reason of a retry stays with the task, also when it is running again or done
    return task


class Queues:
    """In the place of Flower's client of the broker: the queues with the numbers of `swapjobs status`.

    The broker's own lists hold only the next few messages of the jobs that are queued.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take what Flower gives, and need none of it."""

    async def queues(self, _names: Any) -> list[dict[str, Any]]:
        """Return a row for each lane."""
        status = await asyncio.to_thread(app.swap_client().operator.status)
        kinds = {lane: keys.WEBHOOKS_QUEUE if lane == keys.WEBHOOKS else keys.SWAPS_QUEUE for lane in keys.LANES}
        return [
            {
                "name": kind if lane == kind else f"{kind}: {lane}",
                "messages": status.queued[lane],
                "messages_ready": status.queued[lane],
                "consumers": status.workers.get(kind, 0),
            }
            for lane, kind in kinds.items()
        ]


class JobEvents(events.EventsState):
    """Counts attempts at jobs and not the tries of webhooks, which have their own log; names what it saw begin late."""

    def event(self, event: dict[str, Any]) -> None:
        """Take one event of a worker."""
        task_id = str(event.get("uuid", ""))
        is_webhook = task_id.endswith(celery_message.WEBHOOK_SUFFIX)
        if event["type"].startswith("task-") and not event.get("name") and (is_webhook or is_job_id(task_id)):
            # Celery tells the name when a task is received alone, which may be before Flower was there.
            event["name"] = celery_message.DELIVER_TASK if is_webhook else celery_message.SWAP_TASK
        super().event(event)
        if is_webhook:
            self.counter[event["hostname"]][event["type"]] -= 1


class Pages(Loader):
    """Flower's pages, with a link to the jobs in the console beside their own."""

    def _create_template(self, name: str) -> Template:
        text = Path(self.root, name).read_text(encoding="utf-8")
        if name == "navbar.html":
            link = f'<li class="nav-item"><a class="nav-link" href="{escape(settings.console_url)}">Jobs</a></li>'
            text = text.replace("</ul>", f"{link}</ul>", 1)
        return Template(text, name=name, loader=self)


settings = load_settings(WorkerSettings)
events.EventsState = JobEvents
views.Broker = Queues
if settings.console_url:
    urls.settings["template_loader"] = Pages(urls.settings["template_path"])

if not options.address:
    address = "127.0.0.1"
elif not (is_loopback(options.address) or options.basic_auth or options.auth):
    raise SystemExit(
        f"swapjobs: {options.address} can be reached from other machines: set FLOWER_BASIC_AUTH=user:password in the"
        " environment; as --basic-auth it would be in the list of processes"
    )

# Its API, which its buttons use, is closed without a password: then there are no buttons.
read_only = not (options.basic_auth or options.auth or os.environ.get("FLOWER_UNAUTHENTICATED_API"))  # noqa: TID251 - Flower's own

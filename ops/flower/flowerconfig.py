"""Flower's configuration: `swapjobs flower` and docker-compose use it. Options on the command line go before it.

Access: on loopback the pages are open and the HTTP API is closed. Set FLOWER_BASIC_AUTH=user:password for both; without
it Flower does not start on any other address.
"""

import ast
import re
from typing import Any

from tornado.options import options

from swapjobs.contract.urls import is_loopback
from swapworker.app import app

port = 5555
natural_time = False
max_tasks = 20_000
purge_offline_workers = 3600
inspect_timeout = 2000.0

# What a person on call looks for: which job, how it stands, since when, where, why. Left out: retries (a new attempt is
# no Celery retry, so it is always 0), args and kwargs (empty by design). A long reason pushes only the worker aside.
tasks_columns = "uuid,state,name,received,runtime,exception,worker"

# Flower's /api/task/result would hand out the whole record, signed URLs too. `swapjobs status ID` is for that.
app.conf.result_backend = "disabled://"


def format_task(task: Any) -> Any:
    """Show as exception the bare text of a reason, or else of a result that says more than the state."""
    quoted = re.search(r"""(?:SwapFailed|VendorTrouble)\(('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", task.exception or "")
    if quoted:
        reason = ast.literal_eval(quoted[1])
        # The reason of the latest retry stays with the task, also when it is running again or done.
        task.exception = reason if task.state in {"FAILURE", "RETRY"} else f"retried after {reason}"
    elif not task.exception and task.result and task.result != "'succeeded'":
        task.exception = task.result.strip("'")
    return task


if not options.address:
    address = "127.0.0.1"
elif not (is_loopback(options.address) or options.basic_auth or options.auth):
    raise SystemExit(
        f"swapjobs: {options.address} can be reached from other machines: set FLOWER_BASIC_AUTH=user:password in the"
        " environment; as --basic-auth it would be in the list of processes"
    )

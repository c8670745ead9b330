"""Celery's control commands that must do something else here. Revoking a task is cancelling its job, durably.

Celery's own would keep the ids in each worker's memory and drop the messages of these jobs: forgotten at a restart,
without effect on a running job, and the job itself would stay queued.
"""

from __future__ import annotations

from typing import Any

from celery.worker.control import control_command, nok, ok

from swapjobs import actor
from swapjobs.store.celery_message import WEBHOOK_SUFFIX
from swapworker.app import app, runtime


@control_command(  # type: ignore[untyped-decorator]  # celery is untyped
    name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]"
)
def revoke(state: Any, task_id: Any, **_: Any) -> Any:
    """Cancel the jobs of these tasks; running calls are not cut off, their pictures are kept."""
    store = runtime().store
    ids = [task_id] if isinstance(task_id, str) else list(task_id or ())
    ids = [id_.removesuffix(WEBHOOK_SUFFIX) for id_ in ids]
    answers = {id_: store.jobs.cancel(store.jobs.by_task(id_)) for id_ in ids}
    with actor.acting_as(actor.Actor("a control command", "celery")):
        for id_, answer in answers.items():
            store.audit.note("job.cancel", target=id_, result=answer)
    for id_, answer in answers.items():
        if answer == "gone":  # or a product's task that is still on its way here
            store.product_tasks.revoke(id_)
            continue
        # else Flower shows for ever how the last attempt stood
        state.consumer.event_dispatcher.send("task-revoked", uuid=id_, terminated=False, signum=None, expired=False)
    return ok(f"cancelled {', '.join(f'{id_}: {answer}' for id_, answer in answers.items())}")


@control_command(  # type: ignore[untyped-decorator]  # celery is untyped
    name="terminate", variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [id2 [... [idN]]]]"
)
def terminate(state: Any, signal: Any, task_id: Any, **_: Any) -> Any:  # noqa: ARG001 - Celery's signature
    """Cancel the jobs of these tasks: the same as revoke."""
    return revoke(state, task_id)


@control_command(name="shutdown")  # type: ignore[untyped-decorator]  # celery is untyped
def shutdown(_state: Any, **_: Any) -> Any:
    """Stop this worker as SIGTERM does; Celery's own would wait for running calls without a limit."""
    app.shutdown.begin()
    return ok("stopping")


@control_command(name="revoke_by_stamped_headers", signature="[key1=value1 [...]]")  # type: ignore[untyped-decorator]  # celery is untyped
def revoke_by_stamped_headers(_state: Any, **_: Any) -> Any:
    """Refuse: jobs have no stamped headers."""
    return nok("jobs have no stamped headers; revoke them by id")

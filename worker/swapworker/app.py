"""The Celery app: `celery -A swapworker.app worker`. What Celery is told, and why."""

from __future__ import annotations

import gc
import logging
import signal
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Celery, signals
from celery.concurrency import get_implementation
from celery.worker import state
from kombu import Queue

from swapjobs import logs, tether
from swapjobs.contract.errors import SettingsError
from swapjobs.settings import WorkerSettings, load_settings
from swapjobs.store import celery_message, keys
from swapjobs.store.redis_client import RedisError
from swapworker.celery_adapter import logging_setup
from swapworker.celery_adapter.broker import Broker, broker_options, broker_url
from swapworker.celery_adapter.dispatcher_step import DispatcherStep
from swapworker.celery_adapter.event_bundling import BundlingEvents, FlushStep
from swapworker.celery_adapter.health_step import HealthStep
from swapworker.celery_adapter.heartbeat import HeartbeatStep
from swapworker.celery_adapter.intake_step import IntakeStep
from swapworker.celery_adapter.watchdog_step import WatchdogStep
from swapworker.process.shutdown import Shutdown

if TYPE_CHECKING:
    from swapjobs.client.swap_client import SwapClient
    from swapworker.runtime import Runtime

logger = logging.getLogger(__name__)

# By nohup; looked at here, before Celery puts its own handler in place.
_HANGUP_IGNORED = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
_MAX_WARM_CONNECTIONS = 100  # more come with the jobs

try:
    settings = load_settings(WorkerSettings)
except SettingsError as error:
    started_by = Path(sys.argv[0])
    if started_by.parts[-2:] in {("celery", "__main__.py"), ("swapworker", "start.py")} or started_by.name == "celery":
        # `celery -A` would show a traceback for what is a slip in the environment.
        raise SystemExit(f"swapjobs: {error}") from None
    raise


@cache
def runtime() -> Runtime:
    """Return this process's parts, made at their first use: Flower and producers import this module too."""
    from swapworker.celery_adapter.product_app import ProductApp  # noqa: PLC0415 - only a worker needs it
    from swapworker.runtime import build  # noqa: PLC0415 - the same

    return build(settings, ProductApp(settings).tell)


@cache
def swap_client() -> SwapClient:
    """Return the client behind the result backend."""
    from swapjobs.client.swap_client import SwapClient  # noqa: PLC0415 - a worker asks for no result

    return SwapClient(settings)


app = Celery("swapjobs", amqp=Broker, events=BundlingEvents, include=["swapworker.tasks", "swapworker.remote_control"])
app.runtime = runtime
app.swap_client = swap_client
app.conf.update(
    broker_url=broker_url(settings.redis_url),
    result_backend="swapworker.celery_adapter.result_backend:RecordBackend",
    task_queues=[Queue(keys.SWAPS_QUEUE), Queue(keys.WEBHOOKS_QUEUE)],
    task_default_queue=keys.SWAPS_QUEUE,
    task_routes={celery_message.DELIVER_TASK: {"queue": keys.WEBHOOKS_QUEUE}},
    task_create_missing_queues=False,
    broker_transport_options={
        # The record is the truth: losing a message costs seconds, so kombu's bookkeeping of unacked messages is not
        # needed.
        "ack_emulation": False,
        "priority_steps": list(keys.PRIORITY_STEPS),
        "socket_connect_timeout": 5,
        # A server that is gone without a word is given up after this, and not after 50 s, or never.
        "socket_timeout": 5,
        "health_check_interval": 5,
        "socket_keepalive": True,
        **broker_options(settings.redis_url),
    },
    broker_connection_retry_on_startup=True,
    # Never reached: between two tries is a second or more, and the watchdog ends the worker sooner.
    broker_connection_max_retries=int(settings.stall_exit_s),
    # Else a worker ends when its master is made a replica: BRPOP is then answered with UNBLOCKED or READONLY.
    broker_channel_error_retry=True,
    # With late acks and a multiplier of 1 a worker never holds more messages than it has slots.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_pool="threads",
    worker_concurrency=settings.concurrency,
    # The record is written by the attempt itself; the result backend only reads it.
    task_ignore_result=True,
    task_track_started=True,
    accept_content=["json"],
    worker_redirect_stdouts=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    enable_utc=True,
)


@signals.worker_init.connect  # type: ignore[untyped-decorator]  # celery is untyped
def check_and_trim(sender: Any, **_: Any) -> None:
    """Refuse a pool under which the promises would not hold, before it starts any process; leave out what is no use."""
    pool = get_implementation(sender.pool_cls).__module__.rpartition(".")[2]
    if pool not in {"thread", "solo"}:
        raise SystemExit(
            f"swapjobs: pool {pool} is not supported, use threads or solo: under prefork leases cannot be renewed,"
            " under gevent and eventlet nothing is gained"
        )
    # Workers have nothing to tell each other: it would cost a second each time Redis is back, and gossip's step fails
    # with a traceback now and then when it goes.
    sender.options.update(without_gossip=True, without_mingle=True)
    sender.quiet = True  # no banner


@signals.worker_init.connect  # type: ignore[untyped-decorator]  # celery is untyped
def end_with_parent(**_: Any) -> None:
    """Leave no worker behind that nobody sees, when `swapjobs worker` is killed."""
    tether.hold()


def stop_starting() -> None:
    """Let attempts that wait for their slot give it up, and end with status 0; after a signal Celery sets it too."""
    runtime().attempts.stop()
    state.should_stop = 0


shutdown = Shutdown(stop_starting, lambda: runtime().hand_back(), lambda: settings.stop_grace_s)
app.shutdown = shutdown


@signals.celeryd_after_setup.connect  # type: ignore[untyped-decorator]  # celery is untyped
def announce(sender: str, instance: Any, **_: Any) -> None:
    """Log what this worker is: in the place of Celery's banner."""
    what = {"worker": sender, "version": version("swapjobs"), "slots": instance.concurrency}
    logs.event(logger, "starting", **what, queues=",".join(sorted(app.amqp.queues.consume_from)))


@signals.worker_ready.connect  # type: ignore[untyped-decorator]  # celery is untyped
def handle_signals(**_: Any) -> None:
    """Put our handlers in the place of Celery's, which at a second signal may wait for running calls inside."""
    signal.signal(signal.SIGQUIT, shutdown.force)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, shutdown.signalled)
    # Celery would start itself anew, without the terminal that was closed.
    signal.signal(signal.SIGHUP, signal.SIG_IGN if _HANGUP_IGNORED else shutdown.signalled)


@signals.worker_ready.connect  # type: ignore[untyped-decorator]  # celery is untyped
def collect_garbage_less(**_: Any) -> None:
    """Leave what was imported alone, and look less often at what jobs leave: a tenth of a job's CPU went there."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@signals.worker_ready.connect  # type: ignore[untyped-decorator]  # celery is untyped
def connect_beforehand(sender: Any, **_: Any) -> None:
    """Connect every slot to Redis before the first message: calls would leave late while hundreds connect at once."""
    with suppress(RedisError):
        runtime().store.warm_up(min(sender.controller.concurrency, _MAX_WARM_CONNECTIONS))


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]  # celery is untyped
def stop(**_: Any) -> None:
    """Start the grace of what is running, and let attempts that only wait for a slot hand their jobs back now."""
    shutdown.begin()


logging_setup.install(settings.log_format)
app.steps["worker"].add(HealthStep)
app.steps["worker"].add(DispatcherStep)
app.steps["worker"].add(IntakeStep)
app.steps["worker"].add(WatchdogStep)
app.steps["consumer"].add(HeartbeatStep)
app.steps["consumer"].add(FlushStep)

if __name__ != "swapworker.app":
    # Celery puts the current folder on the path, so `-A worker.swapworker.app` would make a second app.
    raise ImportError(f"start it with celery -A swapworker.app, not {__name__}")

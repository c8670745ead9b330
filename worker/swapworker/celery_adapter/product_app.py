"""Speaks for a product's own Celery app: stores a task's result and does what comes after it, by Celery's own code.

At least once: a worker that dies in the middle does it again. The parts of a chord count once all the same, Celery's
Redis backend sees to that.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from celery import Celery, group, signature
from celery.app.amqp import AMQP
from celery.app.task import Context
from celery.backends.redis import RedisBackend
from celery.exceptions import BackendError
from kombu.exceptions import OperationalError

from swapjobs.celery import SwapFailed
from swapjobs.settings.redis_url import sentinel_place
from swapworker.celery_adapter.broker import broker_options, broker_url
from swapworker.delivery.continuation import NotYet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swapjobs.settings import WorkerSettings
    from swapworker.delivery.continuation import TaskEnd

logger = logging.getLogger(__name__)

# What Celery's code looks at besides what comes after the task.
_NEUTRAL: Final[dict[str, Any]] = {"called_directly": False, "args": [], "kwargs": {}, "delivery_info": {}}

# What Celery leaves of the claim to a chord's body for minutes after it was sent (`celery.backends.redis`).
_SENT: Final = b"done"


class _Amqp(AMQP):  # type: ignore[misc]  # celery is untyped
    """Sends to queues that are there, and declares none: only who consumes one knows with which arguments."""

    def _create_task_sender(self) -> Callable[..., Any]:
        send = super()._create_task_sender()
        there: set[str] = set()

        def send_to_what_is_there(producer: Any, name: str, message: Any, **options: Any) -> Any:
            queue = options.get("queue") or (None if options.get("exchange") else self.app.conf.task_default_queue)
            queue_name = getattr(queue, "name", queue)
            if queue_name and queue_name not in there:
                _see_that_it_is_there(self.app, queue_name)
                there.add(queue_name)
            return send(producer, name, message, **{**options, "declare": []})

        return send_to_what_is_there


def _see_that_it_is_there(app: Celery, queue: str) -> None:
    """Ask the broker; a queue in Redis is there as soon as something is in it.

    Raises:
        NotYet: it isn't.
    """
    with app.connection_for_write() as own:  # its channel is closed where the answer is no
        if own.transport.driver_type == "amqp":
            try:
                own.default_channel.queue_declare(queue, passive=True)
            except own.channel_errors:
                raise NotYet(f"the product's broker has no queue {queue} yet") from None


class ProductAway(Exception):
    """The product's broker or result backend can't be reached; the text says with which error."""


class ProductApp:
    """A Celery app with the product's broker, result backend and default queue; it has no tasks of its own."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    def tell(self, end: TaskEnd) -> None:
        """Store the result of a task and send what comes after it.

        What can't be sent for another reason than the broker's absence makes the task a failed one, as with Celery.

        Raises:
            ProductAway: it is to be done again.
            NotYet: as well; a chord's body is being sent, or a queue isn't there.
        """
        away = self._away
        try:
            self._tell(end)
        except NotYet:
            raise
        except away as error:
            raise ProductAway(type(error).__name__) from None
        except Exception as error:  # noqa: BLE001 - of a signature that can't be used, whatever it is
            why = f"internal: what comes after the task can't be sent: {type(error).__name__}"
            logger.error("task %s: %s", end.context["id"], why)  # noqa: TRY400 - a traceback could show URLs
            try:
                self._app.backend.mark_as_failure(end.context["id"], SwapFailed(why))
            except away as error:
                raise ProductAway(type(error).__name__) from None

    def _tell(self, end: TaskEnd) -> None:
        context = Context({**end.context, **_NEUTRAL})
        backend, store = self._app.backend, not context.ignore_result
        if end.state == "SUCCESS":
            self._send_next(end.result, context)
            backend.mark_as_done(context.id, end.result, context, store_result=store)
        elif end.state == "FAILURE":
            backend.mark_as_failure(context.id, SwapFailed(end.reason), request=context, store_result=store)
        else:
            backend.mark_as_revoked(context.id, end.reason, request=context, store_result=store)
        if context.chord and context.group and isinstance(backend, RedisBackend):
            self._see_that_its_body_is_sent(backend, context.group)

    def _see_that_its_body_is_sent(self, backend: RedisBackend, group_id: str) -> None:
        """Come again while somebody holds the claim to a chord's body: it may be a worker that died with it.

        Whoever comes then and finds the claim run out sends the body.
        """
        claim = backend.client.get(backend.get_key_for_group(group_id, ".c"))
        if claim not in {None, _SENT}:
            raise NotYet("the chord's body is being sent")

    def _send_next(self, result: Any, context: Context) -> None:
        """Send links and the rest of the chain, as Celery's tracer does after a task."""
        about = {"parent_id": context.id, "root_id": context.root_id or context.id}
        links: Sequence[Any] = [signature(link, app=self._app) for link in context.callbacks or ()]
        if len(links) == 1:
            links[0].apply_async((result,), **about)
        elif links:
            groups = [link for link in links if isinstance(link, group)]
            for link in groups:
                link.apply_async((result,), **about)
            others = [link for link in links if not isinstance(link, group)]
            if others:
                group(others, app=self._app).apply_async((result,), **about)
        if context.chain:
            *rest, following = context.chain
            signature(following, app=self._app).apply_async((result,), chain=rest, **about)

    @cached_property
    def _away(self) -> tuple[type[Exception], ...]:
        backend, broker = self._app.backend, self._app.connection_for_write()
        errors = (*getattr(backend, "connection_errors", ()), *broker.connection_errors, *broker.channel_errors)
        return (OperationalError, OSError, BackendError, *errors)

    @cached_property
    def _app(self) -> Celery:
        settings = self._settings
        same, place = settings.redis_url, sentinel_place(settings.redis_url)
        broker, backend = settings.celery_broker_url, settings.celery_result_backend
        app = Celery("product", set_as_current=False, amqp=_Amqp)
        app.conf.update(
            broker_url=broker.get_secret_value() if broker else broker_url(same),
            broker_transport_options={"confirm_publish": True} if broker else broker_options(same),
            result_backend=backend.get_secret_value() if backend else broker_url(same),
            result_backend_transport_options={
                **(broker_options(same) if place and not backend else {}),
                "retry_policy": {"max_retries": 1, "interval_max": 0.2},  # as for publishing, below
            },
            result_expires=settings.celery_result_expires_s or None,
            task_default_queue=settings.celery_default_queue,
            broker_connection_timeout=5,
            task_publish_retry=False,  # the delivery is tried again, and its slot is free meanwhile
            redis_socket_timeout=10,
            redis_socket_connect_timeout=5,
        )
        return app

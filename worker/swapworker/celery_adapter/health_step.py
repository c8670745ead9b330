"""Opens the worker's port for probes and Prometheus. A Celery bootstep."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery import bootsteps

from swapjobs.contract.listening import cannot_listen
from swapworker.process.health import Health
from swapworker.process.health_server import HealthServer

if TYPE_CHECKING:
    from swapworker.runtime import Runtime

logger = logging.getLogger(__name__)


class HealthStep(bootsteps.StartStopStep):  # type: ignore[misc]  # celery is untyped
    """Listens on SWAPJOBS_HEALTH_PORT until the process ends, so that it also tells of the worker's way out."""

    def include_if(self, worker: Any) -> bool:
        """Only where there is a port."""
        return bool(worker.app.runtime().settings.health_port)

    def start(self, worker: Any) -> None:
        """Listen, or refuse to start without the port that was asked for."""
        runtime: Runtime = worker.app.runtime()
        host, port = runtime.settings.health_host, runtime.settings.health_port
        health = Health(runtime.watchdog, lambda: worker.app.shutdown.begun)
        try:
            HealthServer(host, port, health, lambda: _metrics(runtime))
        except OSError as error:
            holder = "another worker, whose second process has the port above its own,"
            why = cannot_listen(host, port, error, holder=holder, option="SWAPJOBS_HEALTH_PORT")
            raise SystemExit(f"swapjobs: {why}") from None
        logger.info("health on http://%s:%d", f"[{host}]" if ":" in host else host, port)

    def stop(self, _worker: Any) -> None:
        """Go on: the process ends soon."""


def _metrics(runtime: Runtime) -> tuple[str, str]:
    from prometheus_client import CONTENT_TYPE_LATEST  # noqa: PLC0415 - when somebody asks

    from swapjobs.monitoring.prometheus import exposition  # noqa: PLC0415 - as above
    from swapjobs.monitoring.readings import Readings  # noqa: PLC0415 - as above

    return CONTENT_TYPE_LATEST, exposition(Readings.read(runtime.store), runtime.settings.prices)

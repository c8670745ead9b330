"""A job whose callback goes to an address to which nothing is sent says so itself, wherever it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.builders import make_request, wait_until
from support.processes import ACME_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import GatewayProcess, Program
    from swapjobs import SwapClient


def test_a_refused_address_is_told_by_the_job_itself(
    program: Callable[..., Program],
    client: SwapClient,
    common_gateway: GatewayProcess,
    swapjobs_cli: Callable[..., tuple[int, str]],
) -> None:
    worker = program(
        "celery", "-A", "swapworker.app", "worker", "-l", "info", SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS="10.0.0.0/8"
    )
    worker.wait_for("ready.")
    assert common_gateway.key == ACME_KEY
    job = client.submit(make_request(tenant="acme", callback_url="https://127.0.0.1/hook"))
    assert job.webhook is None or job.webhook.last_error is None

    def last_error() -> str | None:
        webhook = client.get(job.id).webhook
        return webhook.last_error if webhook else None

    assert wait_until(last_error, deadline_s=30) == (
        "the host's address is not public (see SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS; for this machine 127.0.0.1/32)"
    )
    webhook = common_gateway.http.get(f"/v1/jobs/{job.id}").json()["webhook"]
    assert (webhook["last_error"], webhook["last_status"]) == (last_error(), None)
    status, output = swapjobs_cli("status", job.id)
    assert (status, "the host's address is not public" in output) == (0, True), output

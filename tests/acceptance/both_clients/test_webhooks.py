"""Webhook endpoints and deliveries, the same either way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import make_request, wait_until
from support.web_server import always, answer, serving
from swapjobs import InvalidRequest, JobState
from swapjobs.contract.errors import DeliveryNotFound, EndpointNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import Program
    from swapjobs.client.interface import JobClient


def test_an_endpoint_is_added_changed_rotated_and_removed(client: JobClient) -> None:
    webhooks = client.webhooks
    added = webhooks.add("https://hooks.example/all", events=["swap.failed"])
    assert added.secret.startswith("whsec_")
    assert added.public_key.startswith("whpk_")
    assert [endpoint.id for endpoint in webhooks.endpoints()] == [added.id]
    assert webhooks.endpoint(added.id).events == ("swap.failed",)
    assert webhooks.secret(added.id).secret == added.secret
    changed = webhooks.update(added.id, url="https://hooks.example/other", enabled=False)
    assert (changed.url, changed.state, changed.events) == ("https://hooks.example/other", "disabled", ("swap.failed",))
    rotated = webhooks.rotate(added.id, overlap_s=60)
    assert rotated.secret != added.secret
    assert rotated.rotating_until is not None
    webhooks.remove(added.id)
    assert webhooks.endpoints() == []
    for call in (webhooks.endpoint, webhooks.secret, webhooks.rotate, webhooks.test):
        with pytest.raises(EndpointNotFound):
            call(added.id)
    with pytest.raises(DeliveryNotFound):
        webhooks.delivery("unknown")


def test_a_wrong_endpoint_is_told(client: JobClient) -> None:
    with pytest.raises(InvalidRequest):
        client.webhooks.add("nonsense")


def test_deliveries_are_told_and_replayed(client: JobClient, program: Callable[..., Program]) -> None:
    program("swapjobs", "worker").wait_for("ready.", count=2)
    began = datetime.now(UTC) - timedelta(seconds=5)
    with serving(always(answer("", "204 No Content"))) as receiver:
        endpoint = client.webhooks.add(f"{receiver.url}/in")
        job = client.submit(make_request())
        assert client.wait(job.id, 30).state is JobState.SUCCEEDED

        def deliveries(**filters: str) -> Any:
            return client.webhooks.deliveries(endpoint_id=endpoint.id, **filters).deliveries  # type: ignore[arg-type]  # names of filters

        (delivery,) = wait_until(lambda: deliveries(state="delivered", subject=job.id))
        assert (delivery.event, delivery.subject, delivery.tries[-1].status) == ("swap.succeeded", job.id, 204)
        assert client.webhooks.delivery(delivery.id) == delivery
        client.webhooks.replay(delivery.id)
        wait_until(lambda: len(receiver.requests) == 2)
        test = client.webhooks.test(endpoint.id)
        wait_until(lambda: client.webhooks.delivery(test.id).state == "delivered")
        assert {item.id for item in deliveries()} == {delivery.id, test.id}
        assert list(client.webhooks.replay_since(began)) == []  # none is undelivered

"""The commands operation, forget and audit, as an operator uses them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.builders import make_request, submit, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import GatewayProcess, Program
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

    Cli = Callable[..., tuple[int, str]]


def test_an_operation_is_followed_listed_and_written_down(swapjobs_cli: Cli, store: Store) -> None:
    for _ in range(3):
        submit(store, batch_id="b")
    status, output = swapjobs_cli("operation", "start", "cancel", "--batch", "b", "--dry-run")
    assert (status, "done" in output, "3 fit" in output) == (0, True, True)
    status, output = swapjobs_cli("operation", "start", "cancel", "--batch", "b", "--json")
    done = json.loads(output)
    assert (status, done["status"], done["changed"], done["batch_id"]) == (0, "done", 3, "b")
    assert "3 cancelled" in swapjobs_cli("operation", "list")[1]
    assert json.loads(swapjobs_cli("operation", "show", done["id"], "--json")[1]) == done
    assert swapjobs_cli("operation", "show", "op-none")[0] == 3
    status, output = swapjobs_cli("operation", "start", "retry", "--state", "queued")
    assert (status, output.count("\n")) == (2, 1)
    status, output = swapjobs_cli("forget", "--batch", "b", "--json")
    assert (status, json.loads(output)) == (0, {"forgotten": 3, "not_finished": 0})
    entries = [json.loads(line) for line in swapjobs_cli("audit", "--json")[1].splitlines()]
    assert [(entry["action"], entry["via"], entry["detail"]["kind"]) for entry in entries] == [
        ("operation.start", "cli", "forget"),
        ("operation.start", "cli", "cancel"),
    ]
    assert "@" in entries[0]["who"]
    assert "operation.start" in swapjobs_cli("audit", "--action", "operation.")[1]
    assert "nothing that fits" in swapjobs_cli("audit", "--tenant", "nobody")[1]


def test_one_that_is_left_goes_on_in_the_workers(swapjobs_cli: Cli, client: SwapClient, worker: Program) -> None:
    client.operator.pause()
    list(client.submit_many(make_request() for _ in range(400)))
    status, output = swapjobs_cli("operation", "start", "cancel", "--detach", "--json")
    begun = json.loads(output)
    assert (status, begun["status"]) == (0, "running")
    wait_until(lambda: client.operations.get(begun["id"]).status == "done")
    assert client.operations.get(begun["id"]).changed == 400
    assert worker.process.poll() is None


def test_who_changed_what_is_told_whichever_way_they_came(
    swapjobs_cli: Cli,
    gateway: GatewayProcess,
    client: SwapClient,
    store: Store,
    worker: Program,
    program: Callable[..., Program],
) -> None:
    client.operator.pause()
    ids = [submit(store, tenant="acme") for _ in range(3)]
    operator = store.api_keys.create("ops", scopes=["operate", "act"])
    headers = gateway.headers(operator.key)
    assert gateway.http.post(f"/v1/jobs/{ids[0]}/cancel").status_code == 200
    assert gateway.http.patch("/v1/tenants/acme", json={"rate": "5/s"}, headers=headers).status_code == 200
    for tenant, answer in (("acme", 202), ("ops", 202)):
        body = {"kind": "cancel", "tenant": tenant, "created_before": "2020-01-01T00:00:00Z"}
        assert gateway.http.post("/v1/operations", json=body, headers=headers).status_code == answer
    foreign = gateway.http.post("/v1/operations", json={"kind": "cancel", "tenant": "ops"})
    assert (foreign.status_code, "the scope operate" in foreign.json()["detail"]) == (403, True)
    assert [item["tenant"] for item in gateway.http.get("/v1/operations").json()["operations"]] == ["acme"]
    assert len(gateway.http.get("/v1/operations", headers=headers).json().get("operations", [])) in {0, 2}
    assert program("celery", "-A", "swapworker.app", "control", "revoke", ids[1]).process.wait(20) == 0
    wait_until(lambda: client.get(ids[1]).state == "cancelled")
    assert swapjobs_cli("keys", "revoke", operator.id)[0] == 0
    wait_until(lambda: len(client.operator.audit().entries) == 7)
    entries = client.operator.audit().entries[::-1]
    changes = [(entry.action, entry.via, entry.tenant, entry.target) for entry in entries]
    assert changes[:3] == [
        ("dispatch.pause", "python", None, None),
        ("job.cancel", "http", "acme", ids[0]),
        ("tenant.set", "http", "acme", None),
    ]
    assert [entry.action for entry in entries[3:]] == ["operation.start"] * 2 + ["job.cancel", "key.revoke"]
    assert (entries[1].who, entries[2].who, entries[2].detail) == (
        "key settings-1",
        f"key {operator.id}",
        {"rate": "5/s"},
    )
    assert (entries[5].via, entries[5].result) == ("celery", "ok")
    wait_until(lambda: '"event":"change"' in worker.output)
    assert '"event":"change"' in gateway.program.output
    page = client.operator.audit(limit=3)
    rest = client.operator.audit(cursor=page.next_cursor, limit=500)
    assert [*page.entries, *rest.entries] == entries[::-1]

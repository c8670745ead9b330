"""The receivers of `producers/examples`, run as they are, called by the real sender and by those who only pretend."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from support.builders import wait_until
from support.paths import ROOT
from support.processes import Program
from support.web_server import Seen, always, answer, serving
from swapjobs import Job
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import JobError
from swapjobs.contract.lifecycle import JobState
from swapjobs.contract.webhook import WebhookEvent
from swapjobs.contract.webhook_signing import PrivateKeySigner, endpoint_keys, endpoint_secret, endpoint_signers
from swapjobs.settings import WorkerSettings
from swapworker.delivery.sender import Delivery, WebhookSender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = ROOT / "producers" / "examples"
COMMANDS = {
    "fastapi": ["uvicorn", "receive_fastapi:app", "--app-dir", str(EXAMPLES), "--port", "0"],
    "flask": ["flask", "--app", str(EXAMPLES / "receive_flask.py"), "run", "--port", "0"],
}
MASTER = SecretStr("whsec_" + "QUFB" * 8)
SECRET = endpoint_secret(MASTER, "ep_1", 2)
NOW = datetime(2026, 11, 23, tzinfo=UTC)


class Receiver:
    """A running example, and what it has kept."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.database = directory / "inbox.sqlite3"
        env = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_DATABASE": str(self.database)}
        self.program = Program(*COMMANDS[kind], cwd=directory, env=env)
        self.program.wait_for("unning on http://127.0.0.1:")
        port = re.search(r"unning on http://127\.0\.0\.1:([0-9]+)", self.program.output)
        assert port is not None
        self.url = f"http://127.0.0.1:{port[1]}/webhooks"

    def kept(self) -> list[tuple[str, int]]:
        """Return the id of each event, and whether it was handled."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute("SELECT id, handled FROM inbox ORDER BY rowid").fetchall()

    def has_inbox(self) -> bool:
        """Say whether its table is there; the file is, empty, a moment before."""
        with suppress(sqlite3.OperationalError):
            return self.kept() == []
        return False

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        return httpx.post(self.url, content=body, headers=headers, trust_env=False).status_code


@pytest.fixture(params=COMMANDS)
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    receiver = Receiver(request.param, tmp_path)
    with receiver.program:
        yield receiver
    print(receiver.program.output)  # noqa: T201 - shown when the test has failed


def send(url: str, message_id: str, body: str, **more: Any) -> Delivery:
    """Send as a worker does while the endpoint's secret is being rotated."""
    sender = WebhookSender(WorkerSettings.model_validate({"webhook_allowed_networks": "127.0.0.0/8"}))
    signers = [*endpoint_signers(MASTER, "ep_1", 3), *endpoint_signers(MASTER, "ep_1", 2)]
    options: dict[str, Any] = {"at": datetime.now(UTC), "signers": signers}
    return sender.send(url, message_id, body, **options | more)


def event(kind: str = "swap.succeeded", **more: Any) -> str:
    job = Job(
        id="a" * 24,
        state=JobState(kind.removeprefix("swap.")),
        tool="roop",
        tenant="default",
        priority="bulk",
        business_task_id="order-1",
        source_url="https://a.example/1",
        target_url="https://a.example/2",
        created_at=NOW,
        **more,
    )
    return WebhookEvent.model_validate({"type": kind, "timestamp": NOW, "data": job}).model_dump_json()


def test_an_event_is_handled_once_however_often_it_comes(receiver: Receiver) -> None:
    body = event(output_url="https://a.example/换脸.png")
    for _ in range(3):
        delivery = send(receiver.url, "msg_1", body)
        assert (delivery.ok, delivery.status) == (True, 204)
    receiver.program.wait_for("order-1: the picture is at https://a.example/换脸.png")
    assert send(receiver.url, "msg_2", event("swap.cancelled")).ok
    receiver.program.wait_for("order-1: no picture, cancelled")
    wait_until(lambda: receiver.kept() == [("msg_1", 1), ("msg_2", 1)], what="both handled")
    assert receiver.program.output.count("the picture is at") == 1


def test_the_types_of_events_are_told_apart(receiver: Receiver) -> None:
    """One that came later than the receiver was written is no error: else it would be sent for three days."""
    no_face = JobError(code=ErrorCode.NO_FACE, message="no face was found")
    batch = {"type": "batch.completed", "timestamp": str(NOW), "data": {"id": "b-1", "counts": {"succeeded": 3}}}
    later = {"type": "swap.later", "timestamp": str(NOW), "data": {}}
    for number, body in enumerate([event("swap.failed", error=no_face), json.dumps(batch), json.dumps(later)]):
        assert send(receiver.url, f"msg_{number}", body).ok
    for output in ("order-1: no picture, no_face", "batch b-1 is complete: {'succeeded': 3}", "to do for swap.later"):
        receiver.program.wait_for(output)


def test_an_event_that_cannot_be_handled_stops_no_other(receiver: Receiver) -> None:
    assert send(receiver.url, "msg_1", '{"type": "swap.succeeded", "data": {}}').ok
    assert send(receiver.url, "msg_2", event(output_url="https://a.example/3")).ok
    receiver.program.wait_for("the picture is at https://a.example/3")
    wait_until(lambda: receiver.kept() == [("msg_1", 0), ("msg_2", 1)], what="the second handled")
    assert "KeyError" in receiver.program.output


@pytest.mark.parametrize("kind", COMMANDS)
def test_what_a_dead_receiver_had_taken_is_handled_at_its_next_start(kind: str, tmp_path: Path) -> None:
    """It had answered 204: the event does not come again."""
    first = Receiver(kind, tmp_path)
    with first.program:
        wait_until(first.has_inbox, what="the inbox")
        first.program.end(signal.SIGKILL)  # before the event: a slow start would still find and handle it
    with closing(sqlite3.connect(first.database, isolation_level=None)) as connection:
        connection.execute("INSERT INTO inbox (id, body) VALUES ('msg_1', ?)", (event(output_url="https://a/left"),))
    second = Receiver(kind, tmp_path)
    with second.program:
        second.program.wait_for("order-1: the picture is at https://a/left")
        wait_until(lambda: second.kept() == [("msg_1", 1)], what="handled")


def signed(message_id: str, body: str, at: datetime, secret: str = SECRET) -> dict[str, str]:
    signature = Webhook(secret).sign(message_id, at.astimezone(UTC), body)
    stamp = str(int(at.timestamp()))
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signature}


def test_what_is_not_from_us_is_refused_and_not_kept(receiver: Receiver) -> None:
    body, at = event(), datetime.now(UTC)
    good = signed("msg_1", body, at)
    tries = {
        "no headers": {},
        "another's secret": signed("msg_1", body, at, endpoint_secret(MASTER, "ep_2", 2)),
        "another id": good | {"webhook-id": "msg_2"},
        "another time": good | {"webhook-timestamp": str(int(at.timestamp()) + 1)},
        "recorded ten minutes ago": signed("msg_1", body, at - timedelta(minutes=10)),
        "from the future": signed("msg_1", body, at + timedelta(minutes=10)),
        "no time": good | {"webhook-timestamp": "nan"},
        "no signature": good | {"webhook-signature": ""},
        "no comma": good | {"webhook-signature": "v1"},
        "no base64": good | {"webhook-signature": "v1,?"},
        "v1a only": good | {"webhook-signature": good["webhook-signature"].replace("v1", "v1a")},
    }
    for name, headers in tries.items():
        assert receiver.post(body.encode(), headers) == 400, name
    assert receiver.post(body.replace("order-1", "order-2").encode(), good) == 400
    assert receiver.post(b"\xff\xfe", good) == 400
    assert receiver.post(b"x" * 1_000_001, good) == 413
    assert receiver.post(body.encode(), good) == 204
    assert [id_ for id_, _ in receiver.kept()] == ["msg_1"]
    assert "Traceback" not in receiver.program.output


def load_v1a() -> Any:
    spec = importlib.util.spec_from_file_location("receive_v1a", EXAMPLES / "receive_v1a.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def caught(**more: Any) -> Seen:
    with serving(always(answer())) as server:
        assert send(server.url, "msg_1", event(), **more).ok
    return server.requests[0]


def test_a_v1a_signature_is_verified_with_the_public_key_alone() -> None:
    verify = load_v1a().verify
    seen = caught()
    for version in (2, 3):
        verify(endpoint_keys(MASTER, "ep_1", version).public, seen.headers, seen.body)


def test_a_v1a_signature_that_does_not_hold_is_refused() -> None:
    verify = load_v1a().verify
    public = endpoint_keys(MASTER, "ep_1", 2).public
    seen = caught()
    old = caught(at=datetime.now(UTC) - timedelta(minutes=10))
    v1_only = seen.headers["webhook-signature"].split(" ")[0]
    for headers, body in (
        (seen.headers, seen.body + b" "),
        (seen.headers | {"webhook-id": "msg_2"}, seen.body),
        (seen.headers | {"webhook-timestamp": "٣"}, seen.body),
        (seen.headers | {"webhook-signature": "v1a,? v1a"}, seen.body),
        (seen.headers | {"webhook-signature": v1_only}, seen.body),
        (old.headers, old.body),
        ({}, seen.body),
    ):
        with pytest.raises(ValueError, match=r"^no "):
            verify(public, headers, body)
    stranger = PrivateKeySigner(endpoint_keys(MASTER, "ep_2", 2).private)
    foreign = caught(signers=[stranger])
    with pytest.raises(ValueError, match=r"^no signature of this key$"):
        verify(public, foreign.headers, foreign.body)

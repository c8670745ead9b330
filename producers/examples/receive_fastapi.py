"""Receive webhooks with FastAPI: verified, answered at once, each event handled once.

pip install fastapi uvicorn standardwebhooks
WEBHOOK_SECRET=whsec_... uvicorn receive_fastapi:app --port 8000      # the callback URL ends with /webhooks
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from contextlib import closing
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

MAX_BYTES = 1_000_000
app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])  # noqa: TID251 - an example's own settings
database = os.environ.get("WEBHOOK_DATABASE", "webhooks.sqlite3")  # noqa: TID251 - the same
log = logging.getLogger(__name__)
something_came = threading.Event()


def inbox() -> closing[sqlite3.Connection]:
    """Open the table of what was received. Its key makes an event that comes twice one event."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=10)
    connection.execute("CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, body TEXT, handled INT DEFAULT 0)")
    return closing(connection)


async def raw_body(request: Request) -> bytes:
    """Return the body as it was sent: the signature is of these bytes, not of what a JSON parser makes of them."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413)
    return body


@app.post("/webhooks", status_code=204)
def receive(request: Request, body: Annotated[bytes, Depends(raw_body)]) -> None:
    """Keep the event and say so; the work is done afterwards, so that the sender need not wait for it."""
    try:
        webhook.verify(body, dict(request.headers), json_parse=False)  # refuses what is older than five minutes, too
    except (WebhookVerificationError, ValueError):  # ValueError: headers or a body that are no text
        raise HTTPException(400, "not a webhook of ours") from None
    with inbox() as events:
        row = (request.headers["webhook-id"], body.decode())
        events.execute("INSERT OR IGNORE INTO inbox (id, body) VALUES (?, ?)", row)
    something_came.set()


def handle(event: dict[str, Any]) -> None:
    """Do what the event is for; here it is printed. If the process dies meanwhile, it is called again."""
    data = event["data"]
    match event["type"]:
        case "swap.succeeded":
            print(f"{data['business_task_id']}: the picture is at {data['output_url']}", flush=True)
        case "swap.failed" | "swap.cancelled" | "swap.expired":
            why = data["error"]["code"] if data.get("error") else data["state"]
            print(f"{data['business_task_id']}: no picture, {why}", flush=True)
        case "batch.completed":
            print(f"batch {data['id']} is complete: {data['counts']}", flush=True)
        case other:  # others may come later: they are no error
            print(f"nothing to do for {other}", flush=True)


def work() -> None:
    """Handle what has not been handled yet, at the start what an earlier process left."""
    while True:
        something_came.clear()
        with inbox() as events:
            for id_, body in events.execute("SELECT id, body FROM inbox WHERE NOT handled").fetchall():
                try:
                    handle(json.loads(body))
                except Exception:
                    log.exception("event %s", id_)  # it is tried again when the next one comes
                else:
                    events.execute("UPDATE inbox SET handled = 1 WHERE id = ?", (id_,))
        something_came.wait()


threading.Thread(target=work, daemon=True).start()

"""Answers that say "done" in ways that nobody foresaw: each job is billed once, and ends (promise P2)."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from support.builders import make_request, wait_until
from support.fleet import WORKER, count
from support.web_server import Peer, answer, serving
from swapjobs import Job, JobState, SwapClient
from swapjobs.contract.lifecycle import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import Program
    from swapjobs.store.store import Store

PICTURE: Final = "https://cdn.example/1.jpg"
LONG: Final = f"{PICTURE}?X-Amz-Security-Token=" + "A" * 2100


def reply(picture: object, **more: Any) -> bytes:
    return json.dumps({"code": "200", "msg": "ok", **more, "data": {"status": 1, "outputImageUrl": picture}}).encode()


# business_task_id: what the vendor answers to the call and to every question, and the URL or raw value expected
MENDED: Final[dict[str, tuple[bytes, str]]] = {
    "no-scheme": (reply("//cdn.example/1.jpg"), PICTURE),
    "long": (reply(LONG), LONG),
    "bom": (b"\xef\xbb\xbf" + reply(PICTURE), PICTURE),
    "text-around": (b"Notice: line 3\n" + reply(PICTURE), PICTURE),
    "list-of-one": (reply([PICTURE]), PICTURE),
    "strange-code": (reply(PICTURE, code="0"), PICTURE),
    "error-code": (reply(PICTURE, code="500"), PICTURE),
}
UNUSABLE: Final[dict[str, tuple[bytes, str]]] = {
    "inline": (reply("data:image/jpeg;base64,AAAA"), "data:image/jpeg;base64,AAAA"),
    "object": (reply({"url": PICTURE}), json.dumps({"url": PICTURE})),
    "without-host": (reply("out/1.jpg"), "out/1.jpg"),
}
UNREADABLE: Final[dict[str, bytes]] = {
    "page": b"<html>we are back soon</html>",
    "cut-off": reply(PICTURE)[:-20],
    "too-large": reply("data:image/png;base64," + "A" * 10_000),
}


def test_what_the_vendor_says_is_done_is_billed_once_whatever_the_answer_looks_like(
    program: Callable[..., Program], client: SwapClient, store: Store
) -> None:
    answers = {name: body for name, (body, _) in (MENDED | UNUSABLE).items()} | UNREADABLE
    billed: Counter[str] = Counter()

    def vendor(peer: Peer) -> None:
        while (seen := peer.request()) is not None:
            id_ = json.loads(seen.body)["businessTaskId"]
            if "/queryTask " not in seen.line:
                billed[id_] += 1
            peer.send(answer(answers[id_]))

    with serving(vendor) as server:
        settings = {
            "SWAPJOBS_API_URL": server.url,
            "SWAPJOBS_LOOKUP_GIVE_UP_S": "2",
            "SWAPJOBS_MAX_RESPONSE_BYTES": "4096",
            "SWAPJOBS_BREAKER_FAILURES": "1000",
        }
        program(*WORKER, "a@%h", **settings).wait_for("ready.")
        ids = {name: client.submit(make_request(business_task_id=name)).id for name in answers}

        def ended() -> dict[str, Job] | None:
            result = {name: client.get(id_) for name, id_ in ids.items()}
            return result if all(job.state in FINAL for job in result.values()) else None

        jobs = wait_until(ended, deadline_s=40, what="all ended") or {}
        client.retry(ids["inline"])
        again = client.wait(ids["inline"], 20)

    assert billed == dict.fromkeys(answers, 1), "asked for again at a retry, and not done again"
    assert {name: jobs[name].output_url for name in MENDED} == {name: url for name, (_, url) in MENDED.items()}
    for name, (_, raw) in UNUSABLE.items():
        error = jobs[name].error
        assert error is not None
        assert (error.code, error.raw) == ("bad_response", raw), name
    for name in UNREADABLE:
        error = jobs[name].error
        assert error is not None
        assert (jobs[name].state, error.code, error.raw) == (JobState.FAILED, "bad_response", None), name
    assert again.error == jobs["inline"].error
    assert count(store, "unusable_pictures") == len(UNUSABLE) + 1
    assert count(store, "maybe_paid_twice") == 0

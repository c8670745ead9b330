"""Our own vendor client meets the same vendor in the sandbox and at the gateway's door.

What is left to the client's own tests (`tests/integration/vendor_client`): replies cut off, hung, dripped, too
long, compressed, redirected, not JSON, with our credentials in them. There a scripted peer says what no server of ours
ever would.
"""

from __future__ import annotations

import itertools
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from support.builders import wait_until
from support.door import door_side, vendor_side
from support.vendor_calls import vendor_query, vendor_swap
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import job_id
from swapjobs.contract.output import first_picture
from swapworker.vendor_client.outcome import AccountRefused, Failed, Outcome, Pending, Succeeded, TaskUnknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.door import Side
    from swapworker.vendor_client.client import VendorClient

PICTURES = {"sourceUrl": "http://127.0.0.1/a.png", "targetUrl": "http://127.0.0.1/b.png"}
SOURCES = ["http://127.0.0.1/a", "http://127.0.0.1/b"]
TOOL = "/AIGCImgOpenServ/saas/tool"
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["sandbox", "gateway"])
def side(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    with vendor_side() if request.param == "sandbox" else door_side(tmp_path_factory.mktemp("door")) as side:
        yield side


@pytest.fixture
def client(side: Side) -> Iterator[VendorClient]:
    client = side.client()
    yield client
    client.close()
    side.vendor.faults()


@pytest.fixture
def id_() -> str:
    """An id that no other test uses: the programs serve them all."""
    return f"job-{next(_numbers)}"


def in_the_end(client: VendorClient, tool: str, vendor_id: str) -> Outcome:
    """Return the outcome once the vendor has one."""

    def final() -> Outcome | None:
        outcome = vendor_query(client, tool, vendor_id)
        return None if isinstance(outcome, Pending) else outcome

    outcome = wait_until(final, what="the end of the task")
    assert outcome is not None
    return outcome


@pytest.mark.parametrize(
    ("tool", "more"),
    [
        ("roop", {}),
        ("roop", {"undocumented": [1]}),
        ("v2/roop", {}),
        ("v2/roop", {"fidelityWeight": "0.7"}),
        ("face/fusion", {"sourceUrl": SOURCES[:1]}),
        ("face/fusion", {"sourceUrl": SOURCES, "faceIdx": 2}),
    ],
)
def test_a_swap_is_done_and_found_again(
    client: VendorClient, side: Side, id_: str, tool: str, more: dict[str, Any]
) -> None:
    done = vendor_swap(client, tool, {**PICTURES, **more, "businessTaskId": id_})
    assert isinstance(done, Succeeded)
    assert (first_picture(done.outputs), bool(done.task_id)) == (f"{side.vendor.url}/outputs/no-swap.png", True)
    assert vendor_query(client, tool, id_) == done


def test_the_envelope_is_the_vendors_to_the_letter(side: Side, id_: str) -> None:
    with httpx.Client(base_url=side.url, headers=side.headers, trust_env=False, timeout=30) as http:
        roop, fusion = f"{id_}-roop", f"{id_}-fusion"
        direct = http.post(f"{TOOL}/roop", json={**PICTURES, "businessTaskId": roop})
        body = {**PICTURES, "sourceUrl": SOURCES, "businessTaskId": fusion}
        sibling = http.post(f"{TOOL}/face/fusion", json=body).json()
        result = http.post(f"{TOOL}/roop/queryTask", json={"businessTaskId": roop}).json()
        unknown = http.post(f"{TOOL}/roop/queryTask", json={"businessTaskId": fusion}).json()
    assert direct.headers["Content-Type"] == "application/json"
    task_id, output = direct.json()["data"]["taskId"], f"{side.vendor.url}/outputs/no-swap.png"
    assert isinstance(task_id, str)
    data = {"taskId": task_id, "toolTask": "roop", "status": 1, "outputImageUrl": output}
    assert direct.json() == {"code": "200", "msg": "success", "data": data}
    assert result == {"code": "200", "msg": "success", "data": {**data, "businessTaskId": roop}}
    assert (sibling["data"]["toolTask"], sibling["data"]["businessTaskId"]) == ("face/fusion", fusion)
    assert unknown == {"code": "200", "msg": "success", "data": None}


def test_a_task_is_known_to_its_own_tool_only(client: VendorClient, id_: str) -> None:
    assert vendor_query(client, "roop", id_) == TaskUnknown()
    vendor_swap(client, "roop", {**PICTURES, "businessTaskId": id_})
    assert vendor_query(client, "v2/roop", id_) == TaskUnknown()
    assert isinstance(vendor_query(client, "roop", id_), Succeeded)


def test_ids_of_any_kind_lead_each_to_its_own_task(client: VendorClient, id_: str) -> None:
    """Another swapjobs sends prefix, tenant and generation with its ids."""
    ids = [id_ + more for more in ("", "~2", "~3", "~x" * 100, "~x" * 100 + "~2", " ", "/ü", "人脸")]
    tasks = [vendor_swap(client, "roop", {**PICTURES, "businessTaskId": item}) for item in ids]
    assert [vendor_query(client, "roop", item) for item in ids] == tasks
    assert len({task.task_id for task in tasks if isinstance(task, Succeeded)}) == len(ids)


def test_calls_from_many_threads_keep_their_replies_apart(client: VendorClient, id_: str) -> None:
    ids = [f"{id_}-{number}" for number in range(100)]
    with ThreadPoolExecutor(16) as threads:
        done = list(threads.map(lambda item: vendor_swap(client, "roop", {**PICTURES, "businessTaskId": item}), ids))
        result = list(threads.map(lambda item: vendor_query(client, "roop", item), ids))
    assert done == result
    assert len({task.task_id for task in done if isinstance(task, Succeeded)}) == len(ids)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("no face found", Failed(ErrorCode.NO_FACE, "no face found")),
        ("can't download image", Failed(ErrorCode.IMAGE_UNREACHABLE, "can't download image", retryable=True)),
        ("SWAP_FAILED: try again", Failed(ErrorCode.SWAP_FAILED, "SWAP_FAILED: try again", retryable=True)),
    ],
)
def test_a_failed_swap_fails_for_the_reason_that_the_vendor_gave(
    client: VendorClient, side: Side, id_: str, text: str, outcome: Outcome
) -> None:
    side.vendor.faults(f"status_2:id={id_}|{job_id('shop', id_)},msg={text}")
    assert vendor_swap(client, "roop", {**PICTURES, "businessTaskId": id_}) == outcome
    assert vendor_query(client, "roop", id_) == outcome


def test_what_is_not_finished_is_pending_until_it_is(client: VendorClient, side: Side, id_: str) -> None:
    side.vendor.faults(f"pending:s=1.5,id={id_}|{job_id('shop', id_)}")
    vendor_swap(client, "roop", {**PICTURES, "businessTaskId": id_})
    assert isinstance(in_the_end(client, "roop", id_), Succeeded)


@pytest.mark.parametrize(
    ("tool", "body", "complaint"),
    [
        ("roop", {"businessTaskId": None}, "businessTaskId: must be a text"),
        ("roop", {"sourceUrl": SOURCES}, "sourceUrl: must be a text"),
        ("v2/roop", {"fidelityWeight": "2"}, "fidelityWeight: must be at most 1"),
        ("face/fusion", {}, "sourceUrl: must be an array of one or two URLs"),
        ("face/fusion", {"sourceUrl": SOURCES, "faceIdx": 0}, "faceIdx: must be at least 1"),
        ("interrogate", {}, "image: is missing"),
        ("sd/v2/text2image", {"prompt": "x"}, "alwayson_scripts.id_task: must be a text"),
    ],
)
def test_a_wrong_body_is_the_callers_fault(
    client: VendorClient, id_: str, tool: str, body: dict[str, Any], complaint: str
) -> None:
    refused = Failed(ErrorCode.REJECTED_BY_VENDOR, f"the vendor answered 400: {complaint}")
    assert vendor_swap(client, tool, {**PICTURES, "businessTaskId": id_, **body}) == refused


def test_wrong_credentials_are_refused_and_told_to_nobody(
    side: Side, client: VendorClient, id_: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refused = AccountRefused(ErrorCode.CREDENTIALS_REJECTED, "the vendor answered 401: access key refused")
    for wrong in ({"api_key_secret": "wrong-secret-of-no-key"}, {"api_key_id": "wrong-id-of-no-key"}):
        stranger = side.client(**wrong)
        assert vendor_swap(stranger, "roop", {**PICTURES, "businessTaskId": id_}) == refused
        assert vendor_query(stranger, "roop", id_) == refused
        stranger.close()
    assert side.key_secret not in caplog.text
    assert "wrong-secret" not in caplog.text
    assert vendor_query(client, "roop", id_) == TaskUnknown()

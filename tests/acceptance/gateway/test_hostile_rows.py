"""Rows of a batch, and the vendor's door, under whatever bytes: every row is told, each job is there wholly or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from support.processes import ACME_KEY
from support.raw_http import GOOD, PICTURES, Target, target

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS: Final = ("application/x-ndjson", "text/csv")
HEADER: Final = b"source_url,target_url,business_task_id,metadata\n"
DOOR: Final = "/AIGCImgOpenServ/saas/tool/"
VENDOR: Final = {"X-Request-req-accessKeyId": "acme", "X-Request-req-accessKeySecret": ACME_KEY}
# no shrinking: a failing body is short enough, and each try costs a request
BOUNDED: Final = settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda item: st.lists(item, max_size=3) | st.dictionaries(st.text(max_size=10), item, max_size=3),
    max_leaves=5,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.just(value)
        for name, value in {
            **PICTURES,
            "business_task_id": "a",
            "tool": "roop",
            "tenant": "zeta",
            "batch_id": "other",
            "metadata": {},
            "expires_at": "2030-01-01T00:00:00Z",
            "callback_url": "https://shop.example/",
            "\ud800": 1,
        }.items()
    },
)
noise = st.sampled_from(
    [b"\xff\xfe", b"\x00", b"\xed\xa0\x80", b'"', b"\r", b"[" * 2000, b"9" * 6000, b"1e400", b",,,,"]
)
lines = st.one_of(
    st.binary(max_size=60),
    st.builds(lambda row: json.dumps(row).encode(), fields),
    st.builds(lambda a, b: a + b + GOOD, noise, noise),
    st.builds(lambda a: GOOD[:-1] + b',"metadata":{"a":' + a + b"}}", noise),
    st.just(GOOD),
    st.just(b"https://a.example/1.jpg,https://a.example/2.jpg,,{}"),
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("rows"), SWAPJOBS_GATEWAY_VENDOR_WAIT_S="0") as made:
        yield made


def upload(gateway: Target, body: bytes, kind: str = KINDS[0], batch: str = "noise") -> list[dict[str, Any]]:
    """Send rows; return what was told of each, and check that it is true."""
    answer = gateway.http.post(f"/v1/batches?batch_id={batch}", content=body, headers={"Content-Type": kind})
    assert answer.status_code in {200, 400, 422}, answer.text
    if answer.status_code != 200:
        assert answer.json()["detail"]
        return []
    *output, last = [json.loads(line) for line in answer.text.splitlines()]
    summary = last["summary"]
    assert summary["complete"]
    assert summary["rows"] == len(output) <= body.count(b"\n") + 1
    for item in output:
        assert bool(item["error"]) == (item["outcome"] in {"invalid", "conflict"})
        if item["outcome"] in {"created", "existing"}:
            job = gateway.http.get(f"/v1/jobs/{item['id']}").raise_for_status().json()
            assert job["tenant"] == "acme"
    return output


@given(st.lists(lines, max_size=8), st.sampled_from([b"", HEADER, GOOD + b"\n"]), st.sampled_from(KINDS))
@example([b"[" * 100_000, GOOD], GOOD + b"\n", KINDS[0])
@example([b'{"metadata":' * 50_000, GOOD], GOOD + b"\n", KINDS[0])
@example([b'"' * 7, b'"', GOOD], HEADER, KINDS[1])
@BOUNDED
def test_rows_of_any_bytes_are_each_told_what_they_are(
    gateway: Target, rows: list[bytes], begin: bytes, kind: str
) -> None:
    body = begin + b"\n".join(rows)
    first = upload(gateway, body, kind)
    again = upload(gateway, body, kind)
    stored = {item["id"] for item in first if item["outcome"] in {"created", "existing"}}
    assert {item["id"] for item in again if item["outcome"] == "existing"} == stored
    assert not [item for item in again if item["outcome"] == "created"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filler", [b"x", b"[", b'"', b"\x00", b"\xff", b"9"])
def test_a_line_of_10_mb_costs_itself_only_and_little_memory(gateway: Target, filler: bytes, kind: str) -> None:
    before = gateway.memory()
    begin, row = (HEADER, b"https://a.example/1.jpg,https://a.example/2.jpg,,") if kind == KINDS[1] else (b"", GOOD)
    result = upload(gateway, begin + row + b"\n" + filler * 10_000_000 + b"\n" + row + b"\n", kind, "long")
    assert [item["outcome"] == "invalid" for item in result] == [False, True, False]
    assert gateway.memory() - before < 64 * 2**20


@given(
    st.sampled_from(["roop", "v2/roop", "face/fusion"]),
    st.sampled_from(["", "/queryTask"]),
    st.one_of(lines, st.builds(lambda row: json.dumps(row).encode(), json_values)),
)
@example("roop", "", b"[" * 100_000)
@example("roop", "", b'{"businessTaskId":"' + b"9" * 100_000 + b'"}')
@example("face/fusion", "", b'{"sourceImageUrl":"https://a.example/1.jpg","faceIdx":1e400}')
@example("roop", "/queryTask", b'{"businessTaskId":"\\ud800"}')
@example("roop", "/queryTask", b'{"businessTaskId":"\\u0000"}')
@BOUNDED
def test_the_door_refuses_any_bytes_in_the_vendors_words(gateway: Target, tool: str, path: str, body: bytes) -> None:
    headers = {**VENDOR, "Content-Type": "application/json"}
    answer = gateway.http.post(f"{DOOR}{tool}{path}", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["code"] in {"200", "400", "422"}


@pytest.mark.parametrize("key", ["\xff\xfe", "", "a" * 60_000, "%00"], ids=range(4))
@pytest.mark.parametrize("name", VENDOR)
def test_the_door_opens_to_no_strange_key(gateway: Target, name: str, key: str) -> None:
    fields = {**{field: value.encode() for field, value in VENDOR.items()}, name: key.encode("latin-1")}
    answer = gateway.http.post(
        f"{DOOR}roop", json={}, headers=[(field.encode(), value) for field, value in fields.items()]
    )
    assert answer.json()["code"] == "401"


def test_after_all_that_it_is_well(gateway: Target) -> None:
    gateway.check()

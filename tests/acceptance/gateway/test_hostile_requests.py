"""Requests that are wrong in every way we could think of: each is refused with a reason, and does nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from support.raw_http import GOOD, PICTURES, Target, head, post, statuses, target

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOSE: Final = "Connection: close"
JSON: Final = "Content-Type: application/json"
END: Final = b"\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway that gives clients two seconds for what they leave open."""
    with target(tmp_path_factory.mktemp("requests"), SWAPJOBS_GATEWAY_CLIENT_TIMEOUT_S="2") as made:
        yield made


def get(path: str, *fields: str) -> bytes:
    return head("GET", path, *fields, CLOSE) + END


def with_fields(more: str) -> bytes:
    """A good job with this JSON behind its other fields."""
    return post(GOOD[:-1] + b"," + more.encode("utf-8", "surrogatepass") + b"}", CLOSE)


def nested(depth: int) -> str:
    return '"metadata":' + '{"a":' * depth + "1" + "}" * depth


BODIES: Final = {
    "100,000 brackets": (post(b"[" * 100_000, CLOSE), 400),
    "100,000 objects": (post(b'{"a":' * 100_000, CLOSE), 400),
    "deep metadata": (with_fields(nested(1500)), 400),
    "1e400": (with_fields('"metadata":{"a":1e400}'), 422),
    "1e400 in a field": (with_fields('"tool":"face/fusion","face_idx":1e400'), 422),
    "a number of 100,000 digits": (with_fields(f'"metadata":{{"a":{"9" * 100_000}}}'), 400),
    "1e5 digits in a field": (with_fields(f'"tool":"face/fusion","face_idx":{"9" * 100_000}'), 400),
    "NaN": (with_fields('"metadata":{"a":NaN}'), 400),
    "half a surrogate pair": (with_fields('"metadata":{"a":"\\ud800"}'), 400),
    "half a pair as a name": (with_fields('"\\udfff":1'), 400),
    "half a pair, raw": (with_fields('"metadata":{"a":"\ud800"}'), 400),
    "invalid UTF-8": (post(GOOD[:-1] + b',"metadata":{"a":"\xff\xfe"}}', CLOSE), 400),
    "UTF-16": (post(GOOD.decode().encode("utf-16"), CLOSE), 400),
    "a byte order mark": (post(b"\xef\xbb\xbf" + GOOD, CLOSE), 400),
    "NUL in a URL": (post(GOOD.replace(b"a.jpg", b"\\u0000"), CLOSE), 422),
    "NUL, raw": (post(GOOD.replace(b"a.jpg", b"\x00"), CLOSE), 400),
    "a name twice, the last is bad": (with_fields('"tool":"roop","tool":"none"'), 422),
    "no body": (post(b"", CLOSE), 400),
    "a list": (post(b"[]", CLOSE), 400),
    "two values": (post(GOOD + GOOD, CLOSE), 400),
    "too late to be a time": (with_fields('"expires_at":"9999-12-31T23:59:59.999999-12:00"'), 422),
    "too early to be a time": (with_fields('"expires_at":"0001-01-01T00:00:00+12:00"'), 422),
    "a number as a time": (with_fields('"expires_at":1700000000'), 422),
    "a time of 4,000 digits": (with_fields('"expires_at":' + "9" * 4000), 422),
    "metadata of 5 kB": (with_fields(f'"metadata":{{"a":"{"x" * 5000}"}}'), 422),
    "2 MB": (post(b" " * 2_000_000 + GOOD, CLOSE), 413),
    "2 MB in one chunk": (
        head("POST", "/v1/jobs", JSON, "Transfer-Encoding: chunked", CLOSE) + b"\r\n200000\r\n" + b" " * 0x200000,
        413,
    ),
    "another tenant": (with_fields('"tenant":"zeta"'), 422),
    "no type": (head("POST", "/v1/jobs", f"Content-Length: {len(GOOD)}", CLOSE) + END + GOOD, 415),
    "a form": (post(GOOD, CLOSE, kind="application/x-www-form-urlencoded"), 415),
    "a type of bytes": (post(GOOD, CLOSE, kind="\xff\xfe; charset=\xe9"), 415),
    "an encoded type": (post(GOOD, CLOSE, kind="=?utf-8?q?application/json?="), 415),
    "a compressed body": (post(GOOD, CLOSE, "Content-Encoding: gzip"), 415),
    "a bad wish to wait": (post(GOOD, CLOSE, "Prefer: wait=\xb2"), 400),
    "a wish to wait for ever": (post(GOOD, CLOSE, "Prefer: wait=1000000000"), 400),
    "an idempotency key of bytes": (post(GOOD, CLOSE, "Idempotency-Key: \xff\xfe"), 422),
    "an idempotency key of nothing": (post(GOOD, CLOSE, "Idempotency-Key: "), 422),
    "a long idempotency key": (post(GOOD, CLOSE, "Idempotency-Key: " + "a" * 60_000), 422),
    "two idempotency keys": (post(GOOD, CLOSE, "Idempotency-Key: a", "Idempotency-Key: b"), 400),
}
FRAMES: Final = {
    "length too short": (post(GOOD, CLOSE).replace(b"Length: %d" % len(GOOD), b"Length: %d" % (len(GOOD) - 5)), 400),
    "length too long": (post(GOOD).replace(b"Length: %d" % len(GOOD), b"Length: %d" % (len(GOOD) + 5)), 408),
    "negative length": (post(GOOD).replace(b"Length: ", b"Length: -"), 400),
    "a length with a sign": (post(GOOD).replace(b"Length: ", b"Length: +"), 400),
    "a hexadecimal length": (post(GOOD).replace(b"Length: ", b"Length: 0x"), 400),
    "a length of 14 digits": (post(GOOD, CLOSE).replace(b"Length: ", b"Length: 99999999999999"), 413),
    "a length of 5,000 digits": (post(GOOD).replace(b"Length: ", b"Length: " + b"9" * 5000), 400),
    "two lengths": (post(GOOD, "Content-Length: 3"), 400),
    "a length, and chunks": (post(GOOD, "Transfer-Encoding: chunked"), 400),
    "an unknown encoding in chunks": (
        head("POST", "/v1/jobs", JSON, "Transfer-Encoding: gzip, chunked", CLOSE)
        + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD),
        400,
    ),
    "an unknown encoding": (post(GOOD, "Transfer-Encoding: gzip"), 400),
    "no Host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/1.2": (b"GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n", 400),
    "two Hosts in HTTP/1.0": (b"GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a method in small letters": (b"get /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a method of 3,000 letters": (b"A" * 3000 + b" /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a path without a slash": (b"GET healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "TLS": (bytes.fromhex("1603010200010001fc0303") + bytes(range(128, 228)) + b"\r\n\r\n", 400),
    "a method of bytes": (b"J\x7fUNK / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a field with NUL": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
    "a blank before the colon": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400),
    "line ends of CR": (b"GET /healthz HTTP/1.1\rHost: a\r\r", 400),
    "a path of 1 MB": (get("/" + "a" * 1_000_000), 400),
    "50,000 fields": (get("/healthz", *[f"X-{n}: y" for n in range(50_000)]), 400),
}
CHUNKS: Final = {
    "not a number": b"zz\r\n",
    "negative": b"-5\r\nabc",
    "30 digits": b"f" * 30 + b"\r\nabc",
    "100,000 bytes of extension": b"5;" + b"a" * 100_000,
    "more than was said": b"3\r\nabcde\r\n0\r\n\r\n",
    "trailers without end": b"0\r\n" + b"X-More: and more\r\n" * 5000,
}
PATHS: Final = {
    "up and up": ("/v1/jobs/%2e%2e/%2e%2e/healthz", 404),
    "dots": ("/v1/jobs/../../healthz", 404),
    "NUL": ("/v1/jobs/%00", 404),
    "an encoded slash": ("/v1/jobs/a%2fb", 404),
    "invalid UTF-8": ("/v1/jobs/%ff%fe", 404),
    "a surrogate": ("/v1/jobs/%ed%a0%80", 404),
    "line ends": ("/v1/jobs/a%0d%0aSet-Cookie:x", 404),
    "long": ("/v1/jobs/" + "a" * 60_000, 404),
    "a batch called NUL": ("/v1/batches/%00", 422),
    "a batch called ..": ("/v1/batches/%2e%2e", 404),
    "an endpoint called NUL": ("/v1/webhooks/endpoints/%00", 404),
    "a file": ("/docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404),
    "a big limit": ("/v1/jobs?limit=99999999999999999999999999", 422),
    "an endless limit": ("/v1/jobs?limit=1e400", 422),
    "a cursor of bytes": ("/v1/jobs?cursor=%ff%00", 422),
    "a cursor of other digits": ("/v1/jobs?cursor=%D9%A1-%D9%A1", 422),
    "a batches' cursor of other digits": ("/v1/batches?cursor=%D9%A1~a", 422),
    "a deliveries' cursor of 5,000 digits": (f"/v1/webhooks/deliveries?cursor={'9' * 5000}.a", 422),
    "a deliveries' cursor beyond all": ("/v1/webhooks/deliveries?cursor=999999999999999.%00", 200),
    "a cursor before all": ("/v1/jobs?cursor=0-0", 422),
    "a number as a time": ("/v1/jobs?created_after=0.5", 422),
    "a cursor of Redis' own": ("/v1/jobs?cursor=%2B", 422),
    "a cursor beyond all": ("/v1/jobs?cursor=999999999999999-999999999999999", 200),
    "a filter that is there twice": ("/v1/jobs?state=failed&state=queued", 422),
    "a state of bytes": ("/v1/jobs?state=%ed%a0%80", 422),
    "a batch of a pattern": ("/v1/jobs?batch_id=*", 422),
    "the first time": ("/v1/jobs?created_after=0001-01-01T00:00:00%2b23:59", 200),
    "the last time": ("/v1/jobs?created_before=9999-12-31T23:59:59-23:59", 200),
    "a time of many digits": ("/v1/jobs?created_after=99999999999999999999", 422),
    "no time": ("/v1/jobs?created_after=nan", 422),
    "7,000 limits": ("/v1/jobs?" + "limit=1&" * 7000, 422),
}
FIELDS: Final = {
    "access of bytes": ("Authorization: Bearer \xff\xfe", 401),
    "access with a key's form": ("Authorization: Bearer swapjobs_\xff\xfe_abc", 401),
    "access by password": ("Authorization: Basic Zm9vOmJhcg==", 401),
    "access twice": ("Authorization: Bearer a\r\nAuthorization: Bearer b", 401),
    "long access": ("Authorization: Bearer " + "a" * 60_000, 401),
}


@pytest.mark.parametrize(("data", "status"), BODIES.values(), ids=BODIES)
def test_a_bad_body_is_refused_and_no_job_is_made(gateway: Target, data: bytes, status: int) -> None:
    before = gateway.accepted()
    with gateway.rude(data) as client:
        refused_with(client.read(), status)
    assert gateway.accepted() == before


@pytest.mark.parametrize(("data", "status"), FRAMES.values(), ids=FRAMES)
def test_what_is_not_http_is_refused_and_no_job_is_made(gateway: Target, data: bytes, status: int) -> None:
    before = gateway.accepted()
    with gateway.rude(data) as client:
        assert statuses(client.read())[0] == status
    assert gateway.accepted() == before


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/batches"])
@pytest.mark.parametrize("chunk", CHUNKS.values(), ids=CHUNKS)
def test_a_bad_chunk_is_refused_and_no_job_is_made(gateway: Target, chunk: bytes, path: str) -> None:
    before = gateway.accepted()
    kind = JSON if path == "/v1/jobs" else "Content-Type: text/csv"
    with gateway.rude(head("POST", path, kind, "Transfer-Encoding: chunked") + END + chunk) as client:
        assert statuses(client.read()) == [400]
    assert gateway.accepted() == before


@pytest.mark.parametrize(("path", "status"), PATHS.values(), ids=PATHS)
def test_a_strange_path_leads_nowhere(gateway: Target, path: str, status: int) -> None:
    with gateway.rude(get(path)) as client:
        answer = client.read()
    assert statuses(answer) == [status]
    assert b"Set-Cookie:" not in answer.partition(b"\r\n\r\n")[0]


def test_a_whole_url_is_asked_for_as_its_path(gateway: Target) -> None:
    """As a client sends it to a proxy, and any server has to take it (RFC 9112, 3.2.2)."""
    with gateway.rude(get("http://evil.example/healthz")) as client:
        assert statuses(client.read()) == [200]
    with gateway.rude(get("http://evil.example/v1/jobs/x")) as client:
        assert statuses(client.read()) == [404]


@pytest.mark.parametrize(("field", "status"), FIELDS.values(), ids=FIELDS)
def test_a_strange_key_opens_nothing(gateway: Target, field: str, status: int) -> None:
    with gateway.rude(head("GET", "/v1/jobs", field, CLOSE, key=None) + END) as client:
        refused_with(client.read(), status)


@pytest.mark.parametrize(
    "path", ["/v1/jobs", "/v1/jobs/x", "/v1/batches", "/healthz", "/metrics", "/openapi.json", "*"]
)
@pytest.mark.parametrize("method", ["PUT", "TRACE", "CONNECT", "PROPFIND", "OPTIONS"])
def test_a_strange_method_does_nothing(gateway: Target, method: str, path: str) -> None:
    with gateway.rude(head(method, path, CLOSE) + END) as client:
        assert statuses(client.read())[0] in {404, 405}


@pytest.mark.parametrize(
    "field", ["X-Request-Id", "Last-Event-ID", "Accept", "Prefer", "Host", "Origin", "Range", "Cookie"]
)
@pytest.mark.parametrize("value", ["\xff\xfe", "", "a" * 60_000, '\t,;="\\', "%00", "bytes=0-,-1,1-0"], ids=range(6))
def test_strange_fields_do_no_harm(gateway: Target, field: str, value: str) -> None:
    with gateway.rude(get("/v1/jobs/x/events", f"{field}: {value}")) as client:
        assert statuses(client.read())[0] in {400, 404}


def test_what_can_be_kept_is_given_back_unchanged(gateway: Target) -> None:
    odd = {"a": "\x00\u2028\uffff\U0010ffff", "b": 10**3000, "c": -0.0, "d": 1e308, "e": {"": []}}
    body = json.dumps({**PICTURES, "metadata": odd}).encode()
    made = gateway.http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert made.status_code == 202
    assert gateway.http.get(made.headers["Location"]).json()["metadata"] == odd


def test_after_all_that_it_is_well(gateway: Target) -> None:
    gateway.check()


def refused_with(answer: bytes, status: int) -> None:
    assert statuses(answer) == [status], answer[:2000]
    assert b"application/problem+json" in answer
    output = json.loads(answer.rpartition(b"\r\n\r\n")[2])
    assert output["status"] == status
    assert output["detail"]

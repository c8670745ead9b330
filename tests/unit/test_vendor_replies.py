"""Every reading of a vendor reply: one table for swap calls, one for queries."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swapjobs.errors import ErrorCode
from swapworker.net import AddressRefused, BadReply, NetError, NotSent, Reply, ReplyLost, ResponseTooLarge, TimedOut
from swapworker.outcome import (
    AccountRefused,
    Failed,
    NotKnown,
    Outcome,
    Pending,
    Succeeded,
    Throttled,
    TryAgain,
    Unseen,
)
from swapworker.vendor.replies import read_query, read_query_error, read_swap, read_swap_error

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
URL = "https://a.example/x.png"
DONE = {"taskId": "7", "status": 1, "outputImageUrl": URL}
HTML = b"<html><body>502 Bad Gateway</body></html>"
SEEN = Succeeded | Failed | Pending | NotKnown


def reply(body: object = None, status: int = 200, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def envelope(code: object = "200", msg: object = "success", **rest: object) -> dict[str, object]:
    return {"code": code, "msg": msg, **rest}


def swap(got: Reply) -> Outcome:
    return read_swap(got, NOW)


def query(got: Reply, *unknown_codes: str) -> Outcome:
    return read_query(got, NOW, unknown_codes or ("404",))


def task(**data: object) -> Reply:
    return reply(envelope(data=data))


# What is read alike in the reply to a swap call and in that to a query.
both = pytest.mark.parametrize("read", [swap, query])


@both
def test_a_picture_is_success(read: Any) -> None:
    assert read(task(**DONE)) == Succeeded(URL, "7")


@both
def test_numbers_for_strings_do_no_harm(read: Any) -> None:
    got = reply(envelope(200, data={"taskId": 7, "status": "1", "outputImageUrl": f" {URL} ", "new": []}))
    assert read(got) == Succeeded(URL, "7")


@both
def test_a_picture_counts_without_task_id(read: Any) -> None:
    assert read(task(status=1, outputImageUrl=URL)) == Succeeded(URL, None)


@pytest.mark.parametrize(
    "data",
    [
        {"taskId": "7", "status": 0},
        {"taskId": "7", "status": 3, "outputImageUrl": URL},
        {"taskId": "7"},
        {"taskId": "7", "status": 1},
        {"taskId": "7", "status": 1, "outputImageUrl": ""},
        {"taskId": "7", "status": 1, "outputImageUrl": None},
    ],
)
@both
def test_no_final_status_or_no_picture_yet_is_pending(read: Any, data: dict[str, object]) -> None:
    assert read(task(**data)) == Pending("7")


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/x", "/x.png", "javascript:alert(1)", "https://u:p@a.example/", "https://a/" + "x" * 5000],
)
@both
def test_a_picture_with_a_strange_url_is_not_taken(read: Any, url: str) -> None:
    got = read(task(status=1, outputImageUrl=url))
    assert isinstance(got, Unseen)
    assert got.code is ErrorCode.BAD_RESPONSE
    assert url not in got.message


@pytest.mark.parametrize(
    ("msg", "code", "retryable"),
    [
        ("no face detected", ErrorCode.NO_FACE, False),
        ("image download failed", ErrorCode.IMAGE_UNREACHABLE, True),
        ("the swap failed", ErrorCode.SWAP_FAILED, False),
        ("system busy", ErrorCode.SWAP_FAILED, True),
    ],
)
@both
def test_status_2_is_failure_with_the_vendors_words(read: Any, msg: str, code: ErrorCode, *, retryable: bool) -> None:
    assert read(reply(envelope(msg=msg, data={"status": 2}))) == Failed(code, msg, retryable)


@both
def test_the_reason_may_stand_in_a_new_field(read: Any) -> None:
    got = read(reply(envelope(data={"status": 2, "errorMsg": "no face"})))
    assert got.code is ErrorCode.NO_FACE
    assert got.message == "the vendor could not swap the face (status 2)"


@pytest.mark.parametrize("body", [HTML, b"", b'{"code": "200", "data": {', {}, [], 7, envelope(), envelope(data=[])])
@both
def test_what_tells_of_no_task_was_not_seen(read: Any, body: object) -> None:
    got = read(reply(body))
    assert isinstance(got, Unseen)
    assert got.code is ErrorCode.BAD_RESPONSE


@pytest.mark.parametrize("status", [401, 403])
@both
def test_refused_credentials(read: Any, status: int) -> None:
    for got in (
        read(reply(HTML, status)),
        read(reply(envelope(str(status), "no"))),
        read(reply(envelope(status), 400)),
    ):
        assert isinstance(got, AccountRefused)
        assert got.code is ErrorCode.CREDENTIALS_REJECTED


@pytest.mark.parametrize(
    "got",
    [
        reply(HTML, 402),
        reply(envelope("402", "pay")),
        reply(envelope("403", "quota exceeded")),
        reply(envelope("1234", "insufficient balance")),
        reply(envelope("500", "余额不足")),
        reply(envelope("400", "no credits"), 400),
    ],
)
@both
def test_used_up_quota(read: Any, got: Reply) -> None:
    outcome = read(got)
    assert isinstance(outcome, AccountRefused)
    assert outcome.code is ErrorCode.QUOTA_EXHAUSTED


@pytest.mark.parametrize(
    ("got", "wait_s"),
    [
        (reply(HTML, 429), None),
        (reply(HTML, 429, retry_after="12"), 12.0),
        (reply(envelope("429", "quota per second exceeded")), None),
        (reply(envelope(429), retry_after="5"), 5.0),
        (reply(envelope("429"), 500), None),
        (reply(HTML, 429, retry_after="-3"), None),
        (reply(HTML, 503, retry_after="Sun, 22 Nov 2026 12:01:00 GMT"), 60.0),
        (reply(HTML, 503, retry_after="86400"), 3600.0),
    ],
)
@both
def test_throttled(read: Any, got: Reply, wait_s: float | None) -> None:
    outcome = read(got)
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("got", "kind", "code"),
    [
        (reply(envelope("400", "bad url")), Failed, ErrorCode.REJECTED_BY_VENDOR),
        (reply(envelope("404", "no tool")), Failed, ErrorCode.REJECTED_BY_VENDOR),
        (reply(envelope("404", "no tool"), 404), Failed, ErrorCode.REJECTED_BY_VENDOR),
        (reply(HTML, 400), Failed, ErrorCode.REJECTED_BY_VENDOR),
        (reply(HTML, 422), Failed, ErrorCode.REJECTED_BY_VENDOR),
        (reply(HTML, 404), TryAgain, ErrorCode.BAD_RESPONSE),
        (reply({"status": 404, "error": "Not Found"}, 404), TryAgain, ErrorCode.BAD_RESPONSE),
        (reply(HTML, 405), TryAgain, ErrorCode.BAD_RESPONSE),
        (reply(HTML, 302, location="https://a.example/?t=1"), TryAgain, ErrorCode.BAD_RESPONSE),
        (reply(HTML, 503), TryAgain, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 503, retry_after="soon"), TryAgain, ErrorCode.VENDOR_ERROR),
        (reply(envelope("503", "busy")), TryAgain, ErrorCode.VENDOR_ERROR),
        (reply(envelope("9001", "busy")), TryAgain, ErrorCode.VENDOR_ERROR),
        (reply(envelope("FAIL", "busy")), TryAgain, ErrorCode.VENDOR_ERROR),
        (reply(envelope("", "busy")), TryAgain, ErrorCode.VENDOR_ERROR),
        (reply(envelope("0", "ok", data=DONE)), Unseen, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 500), Unseen, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 502), Unseen, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 504), Unseen, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 520), Unseen, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 408), Unseen, ErrorCode.VENDOR_ERROR),
        (reply(envelope("500", "oops")), Unseen, ErrorCode.VENDOR_ERROR),
        (reply(envelope("200", data=DONE), 500), Unseen, ErrorCode.VENDOR_ERROR),
        (reply(envelope(data=None)), Unseen, ErrorCode.BAD_RESPONSE),
    ],
)
def test_a_swap_call_that_was_refused_or_not_seen(got: Reply, kind: type[Any], code: ErrorCode) -> None:
    outcome = swap(got)
    assert isinstance(outcome, kind)
    assert outcome.code is code


def test_the_vendors_words_are_kept() -> None:
    outcome = swap(reply(envelope("9001", "model \n loading")))
    assert outcome == TryAgain(ErrorCode.VENDOR_ERROR, "the vendor answered 9001: model loading")


@pytest.mark.parametrize(
    "got",
    [
        reply(envelope(data=None)),
        reply(envelope(200, data=None)),
        reply(envelope("404", "no such task")),
        reply(envelope(404), 404),
    ],
)
def test_the_vendor_does_not_know_the_task(got: Reply) -> None:
    assert query(got) == NotKnown()


def test_the_codes_for_an_unknown_task_are_a_setting() -> None:
    assert query(reply(envelope("50001", "?")), "50001", "x") == NotKnown()
    assert query(reply(envelope("404", "?")), "50001", "x") == Unseen(
        ErrorCode.VENDOR_ERROR, "the vendor answered 404: ?"
    )


@pytest.mark.parametrize(
    "got",
    [
        reply(HTML, 404),
        reply({"error": "Not Found"}, 404),
        reply({"data": None}),
        reply(envelope()),
        reply(envelope("404"), 500),
        reply(HTML, 503),
        reply(HTML, 302),
        reply(HTML, 400),
        reply(envelope("400", "?")),
        reply(envelope("500", "?", data=None)),
        reply(envelope("9001", "?", data=None)),
    ],
)
def test_what_does_not_answer_a_query_never_says_that_the_task_is_unknown(got: Reply) -> None:
    assert isinstance(query(got), Unseen)


def test_an_unknown_code_never_hides_refused_credentials() -> None:
    assert isinstance(query(reply(envelope("401", "?")), "401"), AccountRefused)


@pytest.mark.parametrize(
    ("error", "after_swap", "after_query"),
    [
        (
            NotSent("x"),
            TryAgain(ErrorCode.VENDOR_UNREACHABLE, "x", vendor_wide=True),
            Unseen(ErrorCode.VENDOR_UNREACHABLE, "x", vendor_wide=True),
        ),
        (
            AddressRefused("x"),
            TryAgain(ErrorCode.VENDOR_UNREACHABLE, "x", vendor_wide=True),
            Unseen(ErrorCode.VENDOR_UNREACHABLE, "x", vendor_wide=True),
        ),
        (TimedOut("x"), Unseen(ErrorCode.VENDOR_TIMEOUT, "x"), Unseen(ErrorCode.VENDOR_TIMEOUT, "x")),
        (ReplyLost("x"), Unseen(ErrorCode.VENDOR_UNREACHABLE, "x"), Unseen(ErrorCode.VENDOR_UNREACHABLE, "x")),
        (BadReply("x"), Unseen(ErrorCode.BAD_RESPONSE, "x"), Unseen(ErrorCode.BAD_RESPONSE, "x")),
        (ResponseTooLarge("x"), Unseen(ErrorCode.BAD_RESPONSE, "x"), Unseen(ErrorCode.BAD_RESPONSE, "x")),
    ],
)
def test_no_reply_at_all(error: NetError, after_swap: Outcome, after_query: Outcome) -> None:
    assert read_swap_error(error) == after_swap
    assert read_query_error(error) == after_query


texts = st.text(max_size=20) | st.sampled_from(["200", "401", "404", "429", "500", "success", "no face", URL])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
tasks = st.fixed_dictionaries(
    {}, optional={"taskId": anything, "status": anything, "outputImageUrl": anything, "x": texts}
)
envelopes = st.fixed_dictionaries({}, optional={"code": anything, "msg": anything, "data": anything | tasks})
bodies = st.binary(max_size=50) | (anything | envelopes).map(lambda value: json.dumps(value).encode())
statuses = st.sampled_from([200, 201, 204, 301, 400, 401, 402, 403, 404, 408, 429, 500, 502, 503, 504]) | st.integers(
    200, 999
)
replies = st.builds(Reply, statuses, st.dictionaries(st.just("retry-after"), texts), bodies)


@settings(deadline=None)
@given(replies)
def test_no_reply_makes_the_reading_fail(got: Reply) -> None:
    outcome = swap(got)
    assert not isinstance(outcome, NotKnown)
    if isinstance(outcome, Succeeded):
        assert outcome.output_url.startswith(("http://", "https://"))
    assert isinstance(query(got), Outcome)


@settings(deadline=None)
@given(replies)
def test_only_a_good_http_status_tells_of_a_task(got: Reply) -> None:
    if got.status >= 300 and got.status != 404:
        assert not isinstance(query(got), SEEN)


@settings(deadline=None)
@given(replies)
def test_a_server_error_never_allows_to_send_again_unasked(got: Reply) -> None:
    if got.status >= 500 and got.status != 503 and got.status < 600:
        assert not isinstance(swap(got), TryAgain | Failed | NotKnown)


@pytest.mark.parametrize(
    ("status", "vendor_wide"), [(500, False), (501, False), (502, True), (503, True), (504, True), (408, False)]
)
def test_what_a_gateway_says_is_no_fault_of_the_job(status: int, vendor_wide: bool) -> None:  # noqa: FBT001 - a column
    for outcome in (read_swap(reply(HTML, status), NOW), query(reply(HTML, status))):
        assert isinstance(outcome, (TryAgain, Unseen))
        assert outcome.vendor_wide == vendor_wide

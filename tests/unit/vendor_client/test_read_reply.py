"""Every reading of a vendor reply: one table for swap calls, one for queries."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.vendor_calls import picture
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.output import first_picture
from swapworker.outbound_http import (
    AddressRefused,
    BadReply,
    NetError,
    NotSent,
    Reply,
    ReplyLost,
    ResponseTooLarge,
    TimedOut,
)
from swapworker.vendor_client.outcome import (
    AccountRefused,
    Failed,
    NotStarted,
    Outcome,
    OutcomeUnknown,
    Pending,
    Succeeded,
    TaskUnknown,
    Throttled,
)
from swapworker.vendor_client.read_reply import Reading, read_query, read_query_error, read_swap, read_swap_error

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECRET = "k3y-s3cret"
READING = Reading(NOW, hide=[SECRET], site="https://api.example")
URL = "https://a.example/x.png"
DONE = {"taskId": "7", "status": 1, "outputImageUrl": URL}
HTML = b"<html><body>502 Bad Gateway</body></html>"
SEEN = Succeeded | Failed | Pending | TaskUnknown


def reply(body: object = None, status: int = 200, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def envelope(code: object = "200", msg: object = "success", **rest: object) -> dict[str, object]:
    return {"code": code, "msg": msg, **rest}


def swap(got: Reply) -> Outcome:
    return read_swap(got, READING)


def query(got: Reply, *unknown_codes: str) -> Outcome:
    return read_query(got, READING, unknown_codes or ("404",))


def task(**data: object) -> Reply:
    return reply(envelope(data=data))


# What is read alike in the reply to a swap call and in that to a query.
both = pytest.mark.parametrize("read", [swap, query])


@both
def test_a_picture_is_success(read: Any) -> None:
    assert read(task(**DONE)) == picture(URL, "7")


@both
def test_numbers_for_strings_do_no_harm(read: Any) -> None:
    got = reply(envelope(200, data={"taskId": 7, "status": "1", "outputImageUrl": f" {URL} ", "new": []}))
    assert read(got) == picture(URL, "7")


@both
def test_a_picture_counts_without_task_id(read: Any) -> None:
    assert read(task(status=1, outputImageUrl=URL)) == picture(URL, None)


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
    ("sent", "url"),
    [
        ("//cdn.example/1.jpg?sig=a%2Fb", "https://cdn.example/1.jpg?sig=a%2Fb"),
        ("/out/1.jpg", "https://api.example/out/1.jpg"),
        (f"\n {URL}\r\n", URL),
        ("https://a.example/a b\t.jpg", "https://a.example/a%20b.jpg"),
        ("https://a.example/\x7f", "https://a.example/%7F"),
        ("HTTPS://a.example/图.jpg", "HTTPS://a.example/图.jpg"),
        ("https://a.example/?token=" + "A" * 5000, "https://a.example/?token=" + "A" * 5000),
        ([URL], URL),
    ],
)
@both
def test_a_url_that_can_be_mended_is(read: Any, sent: object, url: str) -> None:
    assert read(task(taskId="7", status=1, outputImageUrl=sent)) == picture(url, "7")


STRANGE = [
    "ftp://a.example/x",
    "javascript:alert(1)",
    "data:image/jpeg;base64,AAAA",
    "https://u:p@a.example/",
    "https://a/" + "x" * 9000,
    "out/1.jpg",
    "a.example/1.jpg",
    "//",
    {"url": URL},
    7,
    True,
]


@pytest.mark.parametrize("sent", STRANGE)
@both
def test_a_picture_that_is_done_but_has_a_strange_url_ends_with_what_the_vendor_sent(read: Any, sent: object) -> None:
    """It was done and will be billed: asking again brings the same, and sending again is paid again."""
    got = read(reply(envelope(msg="all done", data={"taskId": "7", "status": 1, "outputImageUrl": sent})))
    assert isinstance(got, Failed)
    assert got.code is ErrorCode.BAD_RESPONSE
    assert got.message.startswith("the vendor has done it, but its outputImageUrl ")
    assert "(the vendor said: all done)" in got.message
    raw = sent if isinstance(sent, str) else json.dumps(sent)
    assert got.raw == (raw if len(raw) <= 8192 else raw[:8191] + "…")
    assert len(raw) < 8 or raw not in got.message, "a signature may stand in it"


@both
def test_what_is_kept_of_a_strange_picture_quotes_none_of_our_secrets(read: Any) -> None:
    assert read(task(status=1, outputImageUrl={"for": SECRET})).raw == '{"for": "***"}'


DONE_AS_IT_MAY_COME = [
    b"\xef\xbb\xbf" + json.dumps(envelope(data=DONE)).encode(),
    json.dumps(envelope(data=DONE)).encode("utf-16"),
    json.dumps(envelope(msg="成功", data=DONE), ensure_ascii=False).encode("gb18030"),
    b"<b>Warning</b>: in line 7\n" + json.dumps(envelope(data=DONE)).encode() + b"\n<!-- 0.2 s -->",
    b'{"code": "200", "msg": "a\nb", "data": ' + json.dumps(DONE).encode() + b"}",
    b'{"code": "200", "msg": "\\ud800", "x": NaN, "data": ' + json.dumps(DONE).encode() + b"}",
    envelope(data=json.dumps(DONE)),
    envelope(data=[DONE]),
    {"code": "200", **DONE},
    DONE,
    {"data": DONE},
    envelope(200.0, data=DONE | {"status": 1.0}),
    envelope(data={"task_id": 7, "status": " 1 ", "outputImageUrl": URL}),
    envelope("0", "ok", data=DONE),
    envelope("500", "oops", data=DONE),
    envelope("429", "slow down", data=DONE),
]


@pytest.mark.parametrize("body", DONE_AS_IT_MAY_COME)
@both
def test_done_is_done_however_it_is_wrapped(read: Any, body: object) -> None:
    assert read(reply(body)) == picture(URL, "7")


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
    assert got.message == "no face"


@pytest.mark.parametrize(
    ("body", "answered"),
    [
        (HTML, True),
        (b'{"code": "200", "data": {"status": 1, ', True),
        ([], True),
        (7, True),
        (envelope(data=["?"]), True),
        (envelope(data={"state": "finished"}), True),
        (b"", False),
        ({}, False),
        (envelope(), False),
        (envelope(data=[]), False),
    ],
)
@both
def test_what_tells_of_no_task_was_not_seen(read: Any, body: object, *, answered: bool) -> None:
    """`answered`: it may be the outcome, in a form that we can't read."""
    got = read(reply(body))
    assert isinstance(got, OutcomeUnknown)
    assert (got.code, got.answered) == (ErrorCode.BAD_RESPONSE, answered)


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
        (reply(HTML, 404), NotStarted, ErrorCode.BAD_RESPONSE),
        (reply({"status": 404, "error": "Not Found"}, 404), NotStarted, ErrorCode.BAD_RESPONSE),
        (reply(HTML, 405), NotStarted, ErrorCode.BAD_RESPONSE),
        (reply(HTML, 302, location="https://a.example/?t=1"), NotStarted, ErrorCode.BAD_RESPONSE),
        (reply(HTML, 503), NotStarted, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 503, retry_after="soon"), NotStarted, ErrorCode.VENDOR_ERROR),
        (reply(envelope("503", "busy")), NotStarted, ErrorCode.VENDOR_ERROR),
        (reply(envelope("9001", "busy")), NotStarted, ErrorCode.VENDOR_ERROR),
        (reply(envelope("FAIL", "busy")), NotStarted, ErrorCode.VENDOR_ERROR),
        (reply(envelope("", "busy")), NotStarted, ErrorCode.VENDOR_ERROR),
        (reply(envelope("0", "ok", data={"taskId": "7"})), OutcomeUnknown, ErrorCode.VENDOR_ERROR),
        (reply(envelope("503", "busy", data={"taskId": "7"})), OutcomeUnknown, ErrorCode.VENDOR_ERROR),
        (reply(envelope("500", "busy", data={"status": 2})), OutcomeUnknown, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 500), OutcomeUnknown, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 502), OutcomeUnknown, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 504), OutcomeUnknown, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 520), OutcomeUnknown, ErrorCode.VENDOR_ERROR),
        (reply(HTML, 408), OutcomeUnknown, ErrorCode.VENDOR_ERROR),
        (reply(envelope("500", "oops")), OutcomeUnknown, ErrorCode.VENDOR_ERROR),
        (reply(envelope(data=None)), OutcomeUnknown, ErrorCode.BAD_RESPONSE),
    ],
)
def test_a_swap_call_that_was_refused_or_not_seen(got: Reply, kind: type[Any], code: ErrorCode) -> None:
    outcome = swap(got)
    assert isinstance(outcome, kind)
    assert outcome.code is code


def test_the_vendors_words_are_kept() -> None:
    outcome = swap(reply(envelope("9001", "model \n loading")))
    assert outcome == NotStarted(ErrorCode.VENDOR_ERROR, "the vendor answered 9001: model loading")


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
    assert query(got) == TaskUnknown()


def test_the_codes_for_an_unknown_task_are_a_setting() -> None:
    assert query(reply(envelope("50001", "?")), "50001", "x") == TaskUnknown()
    assert query(reply(envelope("404", "?")), "50001", "x") == OutcomeUnknown(
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
    assert isinstance(query(got), OutcomeUnknown)


def test_an_unknown_code_never_hides_refused_credentials() -> None:
    assert isinstance(query(reply(envelope("401", "?")), "401"), AccountRefused)


def with_status(error: NetError, status: int) -> NetError:
    error.status = status
    return error


@pytest.mark.parametrize(
    ("error", "after_swap", "after_query"),
    [
        (
            NotSent("x"),
            NotStarted(ErrorCode.VENDOR_UNREACHABLE, "x", vendor_wide=True),
            OutcomeUnknown(ErrorCode.VENDOR_UNREACHABLE, "x", vendor_wide=True),
        ),
        (
            AddressRefused("x"),
            NotStarted(ErrorCode.VENDOR_UNREACHABLE, "x", vendor_wide=True),
            OutcomeUnknown(ErrorCode.VENDOR_UNREACHABLE, "x", vendor_wide=True),
        ),
        (TimedOut("x"), OutcomeUnknown(ErrorCode.VENDOR_TIMEOUT, "x"), OutcomeUnknown(ErrorCode.VENDOR_TIMEOUT, "x")),
        (
            ReplyLost("x"),
            OutcomeUnknown(ErrorCode.VENDOR_UNREACHABLE, "x"),
            OutcomeUnknown(ErrorCode.VENDOR_UNREACHABLE, "x"),
        ),
        (BadReply("x"), OutcomeUnknown(ErrorCode.BAD_RESPONSE, "x"), OutcomeUnknown(ErrorCode.BAD_RESPONSE, "x")),
        (
            with_status(ResponseTooLarge("x"), 200),
            OutcomeUnknown(ErrorCode.BAD_RESPONSE, "x", answered=True),
            OutcomeUnknown(ErrorCode.BAD_RESPONSE, "x", answered=True),
        ),
        (
            ResponseTooLarge("x"),
            OutcomeUnknown(ErrorCode.BAD_RESPONSE, "x"),
            OutcomeUnknown(ErrorCode.BAD_RESPONSE, "x"),
        ),
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


@given(replies)
def test_no_reply_makes_the_reading_fail(got: Reply) -> None:
    outcome = swap(got)
    assert not isinstance(outcome, TaskUnknown)
    if isinstance(outcome, Succeeded):
        assert str(first_picture(outcome.outputs)).startswith(("http://", "https://"))
    assert isinstance(query(got), Outcome)


def says_done(got: Reply) -> bool:
    """As a person reads it: an object whose `data`, or itself, has status 1 and something for a picture."""
    try:
        content = json.loads(got.body)
    except ValueError:
        return False
    data = content.get("data") if isinstance(content, dict) else None
    return isinstance(data, dict) and data.get("status") in ("1", 1.0) and bool(data.get("outputImageUrl"))


done_tasks = st.fixed_dictionaries(
    {
        "status": st.sampled_from([1, "1", 1.0, " 1"]),
        "outputImageUrl": (anything | st.sampled_from([URL, *STRANGE])).filter(bool),
    },
    optional={"taskId": anything, "x": texts},
)
done_envelopes = st.fixed_dictionaries(
    {"data": done_tasks}, optional={"code": anything, "msg": anything, "x": anything}
)
codings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"])
done_bodies = st.builds(lambda content, coding: json.dumps(content).encode(coding), done_envelopes, codings)


@settings(max_examples=300)
@given(st.builds(Reply, statuses, st.dictionaries(st.just("retry-after"), texts), done_bodies))
def test_whatever_says_that_it_is_done_ends_the_job(got: Reply) -> None:
    """Both at the call and at the look-up, so that it is sent once and billed once, whatever else the reply holds."""
    for outcome in (swap(got), query(got, "404", "500", "x")):
        assert isinstance(outcome, Succeeded | Failed)
        if isinstance(outcome, Failed):
            assert (outcome.code, outcome.raw is None) == (ErrorCode.BAD_RESPONSE, False)


@given(replies)
def test_only_a_good_http_status_tells_of_a_task(got: Reply) -> None:
    """But for one that is done, or has failed by a word of the vendor's own."""
    if got.status >= 300 and got.status != 404 and not says_done(got):
        outcome = query(got)
        assert not isinstance(outcome, Pending | TaskUnknown | Succeeded)


@given(replies)
def test_a_server_error_never_allows_to_send_again_unasked(got: Reply) -> None:
    if got.status >= 500 and got.status != 503 and got.status < 600 and not says_done(got):
        assert not isinstance(swap(got), NotStarted | Failed | TaskUnknown)


@pytest.mark.parametrize(
    ("status", "vendor_wide"), [(500, False), (501, False), (502, True), (503, True), (504, True), (408, False)]
)
def test_what_a_gateway_says_is_no_fault_of_the_job(status: int, vendor_wide: bool) -> None:  # noqa: FBT001 - a column
    for outcome in (swap(reply(HTML, status)), query(reply(HTML, status))):
        assert isinstance(outcome, (NotStarted, OutcomeUnknown))
        assert outcome.vendor_wide == vendor_wide

"""The families of replies: each is read by its own numbers, and none makes a success of another's failure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swapjobs.contract.output import ImageOutput, JsonOutput, Output, TextOutput
from swapjobs.contract.vendor_tools.reply import (
    ACCEPTED,
    ACKNOWLEDGED,
    PICTURE,
    SD_QUERY,
    TAKEN_OR_NOT,
    Family,
    Reply,
)
from swapjobs.contract.vendor_tools.table import TOOLS
from swapworker import outbound_http
from swapworker.vendor_client.outcome import Failed, Outcome, OutcomeUnknown, Pending, Succeeded
from swapworker.vendor_client.read_reply import Reading, read_list, read_query, read_swap

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
URL, OTHER = "https://a.example/x.png", "https://a.example/y.png"
CAPTION: Final = Reply(Family.TEXT, "caption", finished=(1, 0))
PROMPTS: Final = Reply(Family.TEXT, "prompts", finished=(0, 1), is_list=True)
REPLIES: Final = {
    "R": PICTURE,
    "T caption": CAPTION,
    "T prompts": PROMPTS,
    "A": ACKNOWLEDGED,
    "A accepted": ACCEPTED,
    "A taken": TAKEN_OR_NOT,
    "Q": SD_QUERY,
}


def replied(data: object, code: str = "200", status: int = 200, msg: str = "success") -> outbound_http.Reply:
    return outbound_http.Reply(status, {}, json.dumps({"code": code, "msg": msg, "data": data}).encode())


def read(reply: Reply, data: object, **envelope: Any) -> Outcome:
    return read_query(replied(data, **envelope), Reading(NOW, reply), ("404",))


def image(url: str, **more: Any) -> ImageOutput:
    return ImageOutput(url=url, **more)


def row(url: object, **more: Any) -> dict[str, Any]:
    return {"image_url": url, "seed": 7, "img_audit": [], "img_audit_status": None, "image_status": 1, **more}


@pytest.mark.parametrize(
    ("reply", "data", "outputs"),
    [
        (PICTURE, {"taskId": "1", "status": 1, "outputImageUrl": URL}, [image(URL)]),
        (PICTURE, {"task_id": "1", "status": 1, "outputImageUrl": [URL, OTHER]}, [image(URL), image(OTHER)]),
        (CAPTION, {"taskId": "1", "status": 1, "caption": "a cat"}, [TextOutput(text="a cat")]),
        (CAPTION, {"taskId": "1", "status": 0, "caption": "a cat"}, [TextOutput(text="a cat")]),
        (PROMPTS, {"taskId": "1", "status": 0, "prompts": ["a", "b"]}, [TextOutput(text="a"), TextOutput(text="b")]),
        (ACKNOWLEDGED, {"task_id": "1", "status": 1, "style": "ink"}, [JsonOutput(value={"style": "ink"})]),
        (
            ACKNOWLEDGED,
            {"task_id": "1", "status": 1, "outputImageUrl": [URL, OTHER], "prompt": "x"},
            [image(URL), image(OTHER), JsonOutput(value={"prompt": "x"})],
        ),
        (ACKNOWLEDGED, {"faces": [{"x": 1}]}, [JsonOutput(value={"faces": [{"x": 1}]})]),
        (ACKNOWLEDGED, [{"x": 1}], [JsonOutput(value=[{"x": 1}])]),
        (ACKNOWLEDGED, [{"x": 1}, {"x": 2}], [JsonOutput(value=[{"x": 1}, {"x": 2}])]),
        (SD_QUERY, {"id_task": "1", "status": 2, "differentialImageRspList": [row(URL)]}, [image(URL, seed="7")]),
        (
            SD_QUERY,
            {
                "task_id": "1",
                "status": 2,
                "differentialImageRspList": [
                    row(URL, img_audit=[{"label": "nonLabel"}], img_audit_status=True),
                    row(OTHER, seed=None),
                ],
            },
            [image(URL, seed="7", audit=[{"label": "nonLabel"}], audit_passed=True), image(OTHER)],
        ),
        (
            SD_QUERY,
            {"id_task": "1", "status": 2, "differentialImageRspList": [row(URL), {"image_url": None}]},
            [image(URL, seed="7"), JsonOutput(value={"image_url": None})],
        ),
    ],
)
def test_a_finished_task_gives_all_its_outputs(reply: Reply, data: object, outputs: list[Output]) -> None:
    outcome = read(reply, data)
    assert isinstance(outcome, Succeeded)
    assert list(outcome.outputs) == outputs


@pytest.mark.parametrize(
    ("reply", "data"),
    [
        (PICTURE, {"task_id": "1"}),
        (PICTURE, {"id_task": "1", "status": 0, "outputImageUrl": URL}),
        (CAPTION, {"task_id": "1", "status": 0}),
        (CAPTION, {"taskId": "1", "status": 1, "caption": ""}),
        (PROMPTS, {"taskId": "1", "status": 0, "prompts": []}),
        (ACKNOWLEDGED, {"task_id": "1"}),
        (ACKNOWLEDGED, {"task_id": "1", "status": 1}),
        (ACKNOWLEDGED, {"task_id": "1", "style": "ink"}),
        (ACKNOWLEDGED, {"task_id": "1", "status": 1, "progress": 40, "desc": "working"}),
        (ACCEPTED, {"task_id": "1", "status": 1, "style": "ink"}),
        (ACCEPTED, {"task_id": "1", "status": 2}),
        (SD_QUERY, {"id_task": "1", "status": 1, "differentialImageRspList": [row(URL)]}),
        (SD_QUERY, {"id_task": "1", "status": 3}),
        (SD_QUERY, {"id_task": "1", "status": 2, "differentialImageRspList": []}),
    ],
)
def test_without_a_result_or_a_number_that_says_so_it_is_not_finished(reply: Reply, data: object) -> None:
    assert read(reply, data) == Pending("1")


@pytest.mark.parametrize(
    ("reply", "data", "msg", "message"),
    [
        (PICTURE, {"taskId": "1", "status": 2, "outputImageUrl": URL}, "no face found", "no face found"),
        (PICTURE, {"taskId": "1", "status": 2, "errorMessage": "no face"}, "success", "no face"),
        (CAPTION, {"taskId": "1", "status": 2, "caption": "a cat"}, "success", "a cat"),
        (SD_QUERY, {"id_task": "1", "status": 4, "desc": "content refused"}, "success", "content refused"),
        (SD_QUERY, {"id_task": "1", "status": 9, "differentialImageRspList": [row(URL)]}, "bad", "bad"),
        (TAKEN_OR_NOT, {"taskId": "1", "status": 2}, "success", "the vendor could not do it (status 2)"),
    ],
)
def test_a_failed_number_is_a_failure_whatever_stands_beside_it(
    reply: Reply, data: object, msg: str, message: str
) -> None:
    outcome = read(reply, data, msg=msg)
    assert isinstance(outcome, Failed)
    assert outcome.message == message


# What each family says of a task that failed: a failed number of its own, perhaps with what else it has then.
_TEXTS = st.sampled_from(["no face", "", "quota", "processing"])
_NOTES = st.dictionaries(st.sampled_from(["toolTask", "businessTaskId", "desc", "errorMessage"]), _TEXTS)
_IDS = st.sampled_from([{"taskId": "1"}, {"task_id": "1"}, {"id_task": "1"}])
FAILURES = {
    name: st.builds(
        lambda id_, notes, number, rest: {**id_, **notes, "status": number, **rest},
        _IDS,
        _NOTES,
        st.sampled_from(sorted(reply.failed) or [4, 5, 9, 99]),
        st.sampled_from([{}, {reply.result: None}, {reply.result: ""}, {reply.result: []}] if reply.result else [{}]),
    )
    for name, reply in REPLIES.items()
    if reply.failed or reply.waiting
}


@pytest.mark.parametrize("true_family", FAILURES)
@pytest.mark.parametrize("read_as", REPLIES)
@settings(max_examples=25)
@given(data=st.data())
def test_a_failure_read_as_another_family_is_no_success(true_family: str, read_as: str, data: st.DataObject) -> None:
    """A row may be wrong about a tool: then jobs wait or fail, but none succeeds without a result."""
    body = data.draw(FAILURES[true_family])
    for reading in (Reading(NOW, REPLIES[read_as]), Reading(NOW, REPLIES[read_as], ends_when_accepted=False)):
        assert not isinstance(read_query(replied(body), reading, ()), Succeeded)
        assert not isinstance(read_swap(replied(body), reading), Succeeded)


@pytest.mark.parametrize("read_as", REPLIES)
@settings(max_examples=50)
@given(
    code=st.sampled_from(["400", "401", "404", "422", "429", "500", "503", "boom"]),
    data=st.one_of(
        st.none(),
        st.dictionaries(st.sampled_from(["detail", "error", "caption", "status", "path", "errorMessage"]), _TEXTS),
        st.lists(st.dictionaries(st.just("detail"), _TEXTS), max_size=3),
    ),
    in_http=st.booleans(),
)
def test_an_error_is_no_success_in_any_family(read_as: str, code: str, data: object, *, in_http: bool) -> None:
    """An error object may hold anything: what is taken as it is must not be taken for a result then."""
    status = int(code) if in_http and code.isdigit() else 200
    got = replied(data, code=code, status=status, msg="error")
    reading = Reading(NOW, REPLIES[read_as], ends_when_accepted=read_as == "A taken")
    assert not isinstance(read_swap(got, reading), Succeeded)
    assert not isinstance(read_query(got, reading, ()), Succeeded)


def test_the_numbers_of_no_row_contradict_each_other() -> None:
    for tool in TOOLS.values():
        for reply in (tool.reply, *([tool.query.reply] if tool.query else [])):
            assert not set(reply.finished) & (reply.failed | reply.waiting), tool.name
            assert not any(reply.says_failed(number) for number in reply.finished), tool.name


def test_where_there_is_no_way_to_ask_what_was_accepted_is_done() -> None:
    reading = Reading(NOW, TAKEN_OR_NOT, ends_when_accepted=True)
    assert read_swap(replied({"taskId": "9"}), reading) == Succeeded((JsonOutput(value={"taskId": "9"}),), "9")
    assert isinstance(read_swap(replied(None), reading), Succeeded)
    assert isinstance(read_swap(replied({"taskId": "9", "status": 2}), reading), Failed)
    assert isinstance(read_swap(outbound_http.Reply(200, {}, b"<html>"), reading), OutcomeUnknown)


def test_our_credentials_are_in_no_output() -> None:
    reading = Reading(NOW, ACKNOWLEDGED, hide=("k3y",))
    outcome = read_swap(replied({"status": 1, "echo": {"key": "k3y"}}), reading)
    assert isinstance(outcome, Succeeded)
    assert outcome.outputs == (JsonOutput(value={"echo": {"key": "***"}}),)
    failed = read_swap(replied({"status": 2, "errorMessage": "k3y is wrong"}), reading)
    assert isinstance(failed, Failed)
    assert failed.message == "*** is wrong"


def test_a_list_is_read_and_what_is_none_is_told() -> None:
    reading = Reading(NOW, next(tool.reply for tool in TOOLS.values() if not tool.is_task))
    page = {"rows": [{"id": 1}], "total": 1, "pageSize": 10, "pageNum": 1}
    assert read_list(replied(page), reading).data == page
    assert read_list(replied({"rows": None}), reading).problem
    assert "bad key" in read_list(replied(None, code="401", msg="bad key"), reading).problem
    throttled = outbound_http.Reply(429, {"retry-after": "7"}, b"{}")
    assert read_list(throttled, reading).pause_s == 7

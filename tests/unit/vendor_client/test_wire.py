"""The vendor's JSON is read leniently, and a compressed body can't grow without bounds."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from swapjobs.contract.vendor_tools.reply import PICTURE
from swapworker.vendor_client.wire import Envelope, TaskData, parse_envelope, unpacked


def task_in(envelope: Envelope) -> TaskData:
    task = envelope.task(PICTURE)
    assert task is not None
    return task


def test_the_documented_reply_is_read() -> None:
    data = {"taskId": "1116", "toolTask": "roop", "status": 1, "outputImageUrl": "https://a.example/x.png"}
    envelope = parse_envelope(json.dumps({"code": "200", "msg": "success", "data": data}).encode())
    assert envelope is not None
    assert (envelope.code, envelope.msg) == ("200", "success")
    task = task_in(envelope)
    assert (task.task_id, task.status) == ("1116", 1)
    assert task.result(PICTURE) == "https://a.example/x.png"


def test_numbers_and_strings_may_change_places_and_fields_may_be_new_or_missing() -> None:
    envelope = parse_envelope(b'{"code": 200, "new": 1, "data": {"taskId": 1116, "status": "2", "why": "dark"}}')
    assert envelope is not None
    assert (envelope.code, envelope.msg) == ("200", None)
    task = task_in(envelope)
    assert (task.task_id, task.status, task.texts) == ("1116", 2, ["dark"])


@pytest.mark.parametrize("value", ['"soon"', "null", "true", "[]", "1.5", '"1e3"', "-1", "99999999999999999999"])
def test_a_status_that_is_no_number_is_no_status(value: str) -> None:
    envelope = parse_envelope(f'{{"code": "200", "data": {{"taskId": "1", "status": {value}}}}}'.encode())
    assert envelope is not None
    assert task_in(envelope).status is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'"x"', b"<html>", b'{"code": "200"', b"\xff\xfe", b"[" * 10_000]
)
def test_what_is_no_object_is_no_envelope(body: bytes) -> None:
    assert parse_envelope(body) is None


@pytest.mark.parametrize("data", ["null", "[]", '"x"', "{}", '{"new": 1}'])
def test_data_that_tells_of_no_task_is_no_task(data: str) -> None:
    envelope = parse_envelope(f'{{"code": "200", "data": {data}}}'.encode())
    assert envelope is not None
    assert envelope.task(PICTURE) is None


def test_secrets_are_taken_out_of_the_texts() -> None:
    envelope = parse_envelope(b'{"code": "bad-s3cret", "msg": "key s3cret is unknown"}', ["other", "s3cret"])
    assert envelope is not None
    assert (envelope.code, envelope.msg) == ("bad-***", "key *** is unknown")


@pytest.mark.parametrize(("code", "expected"), [('"200"', "200"), ("null", None)])
def test_a_short_secret_does_not_change_what_a_reply_means(code: str, expected: str | None) -> None:
    envelope = parse_envelope(f'{{"code": {code}, "msg": "2 pictures"}}'.encode(), ["2"])
    assert envelope is not None
    assert (envelope.code, envelope.msg) == (expected, "*** pictures")


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_a_plain_body_is_left_alone(encoding: str) -> None:
    assert unpacked(b"abc", encoding, 10) == b"abc"


def test_a_compressed_body_is_unpacked() -> None:
    assert unpacked(gzip.compress(b"abc", mtime=0), "gzip", 10) == b"abc"
    assert unpacked(zlib.compress(b"abc"), "deflate", 10) == b"abc"
    assert unpacked(zlib.compress(b"abc")[2:-4], "deflate", 10) == b"abc", "raw, as some call it"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(bytes(50_000_000)), "gzip"),
        (gzip.compress(b"abc", mtime=0)[:-4], "gzip"),
        (zlib.compress(b"abc")[2:5], "deflate"),
        (b"not gzip", "gzip"),
        (b"abc", "br"),
    ],
)
def test_a_body_that_grows_too_large_or_cannot_be_unpacked_is_none(body: bytes, encoding: str) -> None:
    assert unpacked(body, encoding, 1000) is None

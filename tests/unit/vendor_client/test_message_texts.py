"""The vendor's free texts: the word tables, and what is left of a text before it may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapjobs.contract.errors import ErrorCode
from swapworker.vendor_client.message_texts import MAX_MESSAGE, presentable, reason_of, speaks_of_quota


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no face detected", ErrorCode.NO_FACE),
        ("No human face in source image", ErrorCode.NO_FACE),
        ("Face not found", ErrorCode.NO_FACE),
        ("faces were not detected", ErrorCode.NO_FACE),
        ("could not detect a face", ErrorCode.NO_FACE),
        ("未检测到人脸", ErrorCode.NO_FACE),
        ("failed to download the image", ErrorCode.IMAGE_UNREACHABLE),
        ("cannot load source image", ErrorCode.IMAGE_UNREACHABLE),
        ("targetUrl is not accessible", ErrorCode.IMAGE_UNREACHABLE),
        ("图片下载失败", ErrorCode.IMAGE_UNREACHABLE),
        ("swap failed", ErrorCode.SWAP_FAILED),
        ("face fusion failed", ErrorCode.SWAP_FAILED),
        ("", ErrorCode.SWAP_FAILED),
    ],
)
def test_words_tell_the_reason(text: str, code: ErrorCode) -> None:
    assert reason_of(text)[0] is code


@pytest.mark.parametrize(
    ("text", "retryable"),
    [
        ("system busy, please try again later", True),
        ("系统繁忙 请稍后重试", True),
        ("download failed", True),
        ("no face", False),
        ("bad picture", False),
    ],
)
def test_a_text_may_give_hope_for_another_try(text: str, *, retryable: bool) -> None:
    assert reason_of(text)[1] is retryable


@pytest.mark.parametrize(
    "text",
    ["Quota exceeded", "Insufficient balance", "account balance is not enough", "余额不足", "no credits", "账户已欠费"],
)
def test_words_tell_of_quota(text: str) -> None:
    assert speaks_of_quota(text)


@pytest.mark.parametrize("text", ["success", "insufficient image quality", "bad white balance", "no face"])
def test_other_words_do_not_tell_of_quota(text: str) -> None:
    assert not speaks_of_quota(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  two\r\n lines\x00\x1b[31m\u202e ", "two lines [31m"),
        ("can't get https://a.example/x.png?Signature=abc&Expires=1 now", "can't get https://a.example/x.png?… now"),
        ("https://user:pw@a.example/x", "https://a.example/x"),
        ("HTTPS://[::1/x", "(a URL)"),
        ("accessKeySecret=abc123 refused", "accessKeySecret=*** refused"),
        ('{"accessKeyId": "abc", "x": 1}', '{"accessKeyId": "***", "x": 1}'),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("未检测到人脸", "未检测到人脸"),
    ],
)
def test_a_message_is_fit_to_be_shown(text: str, shown: str) -> None:
    assert presentable(text) == shown


@given(st.text(max_size=1000))
def test_any_text_becomes_one_short_line(text: str) -> None:
    shown = presentable(text)
    assert len(shown) <= MAX_MESSAGE
    assert shown.isprintable()
    assert presentable(shown) == shown


@given(st.text("ab /?=&:@", max_size=30), st.from_regex(r"[A-Za-z0-9]{12}", fullmatch=True))
def test_the_query_of_a_url_is_never_shown(before: str, secret: str) -> None:
    assert secret not in presentable(f"{before} https://host.example/path?sig={secret}")

"""The vendor's free texts: what they hint at, and what of them may be shown."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import urlsplit

from swapjobs.contract.errors import ErrorCode

MAX_MESSAGE: Final = 200

# The vendor publishes no reasons. These words, tried in this order, tell the common ones; the rest is `swap_failed`.
_REASONS: Final = (
    (
        ErrorCode.NO_FACE,
        re.compile(
            r"\bno (\w+ )?faces?\b|\bfaces? (is |was |are |were )?not (be )?(found|detected|recogni[sz]ed)"
            r"|\bnot? (detect|find|recogni[sz]e) (a |any |the )?(\w+ )?face|without (a )?face|faceless"
            r"|(未|没有?|无法?|不到?).{0,6}人脸|人脸.{0,4}(未|失败|不存在)",
            re.IGNORECASE,
        ),
    ),
    (
        ErrorCode.IMAGE_UNREACHABLE,
        re.compile(
            r"download|\bfetch(_|ed\b|ing\b)|"
            r"unreachable|inaccessible|\bnot (be )?(accessible|reachable)|\b(fetch|access|load|read|open|get)"
            r"(ing)? (the |source |target |an? )*(image|picture|url|file)|invalid (image )?url|image url"
            r"|下载|图片.{0,6}(链接|地址|无法|失败)",
            re.IGNORECASE,
        ),
    ),
)
_PASSING: Final = re.compile(
    r"try (it )?again|\bretry|\bbusy\b|overload|time[d ]?-?out|稍后|重试|繁忙|超时", re.IGNORECASE
)
_QUOTA: Final = re.compile(
    r"\bquota|\barrears\b|\b(insufficient|not enough|no) (account )?(balance|funds|credits?|points)\b"
    r"|\b(balance|credits?|funds|points) (is |are |has |have )?(insufficient|not enough|exhausted|used up|run out)"
    r"|余额|欠费|额度|配额|次数.{0,4}(不足|用完)",
    re.IGNORECASE,
)
_URL: Final = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
_CREDENTIAL: Final = re.compile(
    r"([\w.-]*(?:key|secret|token|signature|passw(?:or)?d|authorization|credential)[\w.-]*)"
    r"(\"?'?\s*[=:]\s*\"?'?)(?:bearer\s+|basic\s+)?[^\s,;\"'&]+",
    re.IGNORECASE,
)


def reason_of(text: str) -> tuple[ErrorCode, bool]:
    """Return the code for a failed task's text, and whether the text gives hope for another try."""
    for code, words in _REASONS:
        if words.search(text):
            return code, code is ErrorCode.IMAGE_UNREACHABLE
    return ErrorCode.SWAP_FAILED, bool(_PASSING.search(text))


def speaks_of_quota(text: str) -> bool:
    """Say whether the text is about money or quota, not about the request."""
    return bool(_QUOTA.search(text))


def presentable(text: str) -> str:
    """Return what may be stored and shown: one line, short, no URL's query or credentials, no `secret=...`."""
    line = " ".join("".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[:4000]).split())
    line = _CREDENTIAL.sub(r"\1\2***", _URL.sub(_bare, line))
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"


def _bare(match: re.Match[str]) -> str:
    try:
        parts = urlsplit(match[0])
    except ValueError:
        return "(a URL)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" + ("?…" if parts.query else "")

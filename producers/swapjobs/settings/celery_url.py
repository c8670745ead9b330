"""Checks where a product's own Celery app has its broker and its results, as far as that is the same for all of them.

Which kinds there are only kombu and Celery know, and a product may have brought one of its own; nothing here connects.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_SCHEME: Final = re.compile(r"([A-Za-z][\w.+:-]*)://")
# Others have several hosts in one URL, a file or nothing behind the scheme.
_WITH_A_PORT: Final = frozenset({"redis", "rediss", "amqp", "amqps", "pyamqp", "sentinel"})
# Celery's `result_backend` may be a name too: those that need no place, or a class.
_BACKEND: Final = re.compile(r"rpc|disabled|[A-Za-z_]\w*(\.\w+)*[.:][A-Z]\w*")
_LIKE: Final = "like redis://[[user]:password@]host:6379/0 or amqp://user:password@host:5672//"


def check_broker(urls: str) -> None:
    """Check a broker's URL, or several with a semicolon between, of which the next is tried where one is away.

    Raises:
        ValueError: one can't be right; the text quotes nothing of it, since there may be a password in it.
    """
    for url in urls.split(";"):
        match = _SCHEME.match(url.strip())
        if match is None:
            raise ValueError(f"must be a URL, {_LIKE}")
        if match[1] in _WITH_A_PORT and not _is_place(url):
            raise ValueError(f"the host or the port is not written as it must be, {_LIKE}")


def check_backend(url: str) -> None:
    """Check where results lie: a URL, or what else Celery takes.

    Raises:
        ValueError: as above.
    """
    if not _BACKEND.fullmatch(url):
        check_broker(url)


def _is_place(url: str) -> bool:
    try:
        port = urlsplit(url.strip()).port
    except ValueError:
        return False
    return port != 0

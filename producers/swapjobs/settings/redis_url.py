"""Checks Redis URLs and reads those of Sentinel: `redis+sentinel://[[user]:password@]host[:port],.../service[/database]`.

Pure text work, for the settings, the client and the worker alike; nothing here connects.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

SCHEME: Final = "redis+sentinel://"
FORM: Final = f"{SCHEME}[[user]:password@]host:port,host:port/service[/database]"
_TLS_SCHEME: Final = "rediss+sentinel://"
_SENTINEL_PORT: Final = 26379
_PORT: Final = 6379
_ENCODE: Final = (
    "percent-encode the password: %40 for an @, %2F for a /, %23 for a #, %3F for a ?, %25 for a %; the form is"
    " redis://[[user]:password@]host[:port]/database"
)
_OPTIONS: Final = frozenset({"sentinel_username", "sentinel_password"})


@dataclass(frozen=True, slots=True)
class SentinelPlace:
    """Where a Redis is that Sentinel watches: ask `sentinels`, (host, port) each, for the master of `service`.

    The sentinels' own user and password, if they have any, are not those of Redis.
    """

    sentinels: tuple[tuple[str, int], ...]
    service: str
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def check_plain_url(url: str) -> None:
    """Check `redis://[[user]:password@]host[:port][/database]`, before a library reads parts of a password as a host.

    Raises:
        ValueError: it is wrong; the text quotes nothing of it, for the same reason as below.
    """
    place = url.partition("://")[2]
    authority = re.split(r"[/?#]", place, maxsplit=1)[0]
    path, _, query = place.removeprefix(authority).partition("?")
    credentials, at, host = authority.rpartition("@")
    too_many = "@" in credentials + path or ("@" in query and not at)
    if too_many or "#" in path + query or re.search("%(?![0-9A-Fa-f]{2})", credentials):
        raise ValueError(_ENCODE)
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._-]*)(?::([^:]*))?", host)
    if match is None:
        raise ValueError(f"the host is not written as it must be, an IPv6 address in [brackets]; {_ENCODE}")
    if match[2] is not None and not re.fullmatch("[0-9]{1,5}", match[2]):
        raise ValueError(f"the port is not a number; {_ENCODE}")
    if int(match[2] or 1) not in range(1, 2**16):
        raise ValueError("the port is not between 1 and 65535")
    if not re.fullmatch(r"(/[0-9]{0,4})?", path):
        raise ValueError("the database after the last / is not a number, as in redis://host:6379/0")


def address_of(url: str) -> str:
    """Return where a URL that was checked leads, for a message: host and port, or those of the sentinels."""
    if place := sentinel_place(url):
        return ",".join(f"{host}:{port}" for host, port in place.sentinels)
    host = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2] or "localhost"
    return host if re.search(r":[0-9]+$", host) else f"{host}:{_PORT}"


def sentinel_place(url: str) -> SentinelPlace | None:
    """Return what a Sentinel URL says, or None for a URL of another kind.

    Raises:
        ValueError: it is a wrong Sentinel URL; the text says what is wrong and quotes nothing of it, as a slip in the
            password's encoding can make any part of the URL a part of the password.
    """
    if url.startswith(_TLS_SCHEME):
        raise ValueError(f"Sentinel with TLS is not supported: use {SCHEME} in a network of your own")
    if not url.startswith(SCHEME):
        return None
    place, _, query = url.removeprefix(SCHEME).partition("?")
    authority, _, path = place.partition("/")
    credentials, at, hosts = authority.rpartition("@")
    username, colon, password = credentials.partition(":")
    if at and not colon:
        raise _wrong("before the @ a colon is missing: user:password@ or :password@")
    service, slash, database = path.partition("/")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", service):
        raise _wrong("after the sentinels the service's name is missing, as in `sentinel monitor NAME ...`")
    if slash and not re.fullmatch(r"[0-9]{1,4}", database):
        raise _wrong("the database after the service's name is not a number")
    return SentinelPlace(
        sentinels=tuple(_host_and_port(host) for host in hosts.split(",")),
        service=service,
        database=int(database or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
        **_options(query),
    )


def _host_and_port(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?", text)
    if match is None:
        raise _wrong("each sentinel is host:port, with a comma between two and an IPv6 address in [brackets]")
    port = int(match["port"] or _SENTINEL_PORT)
    if not 0 < port < 2**16:
        raise _wrong("a sentinel's port is not between 1 and 65535")
    if match["v6"]:
        try:
            return str(ipaddress.IPv6Address(match["v6"])), port
        except ValueError:
            raise _wrong("what stands in [brackets] is no IPv6 address") from None
    return match["name"], port


def _options(query: str) -> dict[str, str]:
    # Not parse_qsl, which would read a + in a password as a blank.
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    if any(name not in _OPTIONS for name, _, _ in pairs):
        raise _wrong(f"after the ? only {' and '.join(sorted(_OPTIONS))} may stand")
    return {name: unquote(value) for name, _, value in pairs if value}


def _wrong(what: str) -> ValueError:
    return ValueError(f"{what}; the form is {FORM}, with %40 for an @ in the password, %2F for a / and %3F for a ?")

"""What to do about an error of Redis: each kind of them has a remedy of its own."""

from __future__ import annotations

import re
from typing import Final

import redis

from swapjobs.store.redis_client import wants_password

# The user that is enough, for the README and the tests: INFO tells whether Redis was restarted, and how full it is.
ACL_RULES: Final = "~* &* +@all -@dangerous -@admin +info"

_NO_ENTRY: Final = "correct the user and the password in SWAPJOBS_REDIS_URL"
_GIVE_IT: Final = "put it into SWAPJOBS_REDIS_URL: redis://[user]:password@host:port/0"
_CLUSTER: Final = "this is a Redis Cluster, which is not supported: use one server, or Sentinel"
_WRONG_HOST: Final = "there is no such host: correct SWAPJOBS_REDIS_URL"
_TLS: Final = "TLS does not fit: rediss:// for a server with TLS, redis:// for one without"
_NO_TLS: Final = "rediss:// in SWAPJOBS_REDIS_URL speaks TLS: does this server? If it does not, redis:// is right"

_BY_TYPE: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis.AuthenticationError, _NO_ENTRY),
    (redis.BusyLoadingError, "wait: Redis is loading its file"),
    (redis.ReadOnlyError, "this is a replica: give SWAPJOBS_REDIS_URL the master's address, or that of its sentinels"),
    (redis.exceptions.OutOfMemoryError, "raise maxmemory, or let jobs be worked off"),
    (redis.exceptions.AskError, _CLUSTER),
    (redis.TimeoutError, "Redis does not answer in time: is it overloaded, another server, or are packets dropped?"),
)
_BY_TEXT: Final = (
    (r"^(NOAUTH|WRONGPASS)", _NO_ENTRY),
    (r"^MISCONF", "Redis can't write to its disk: see its log; the disk is full, or its folder is not writable"),
    (r"cluster|CROSSSLOT", _CLUSTER),
    (r"Name or service not known|nodename nor|getaddrinfo|No address", _WRONG_HOST),
    (r"SSL|CERTIFICATE|wrong version number", _TLS),
    (r"DB index is out of range", "this server has no such database: end SWAPJOBS_REDIS_URL with /0"),
    (r"refused|No route|unreachable", "start Redis, or correct the host and the port in SWAPJOBS_REDIS_URL"),
    (
        r"unknown command .?(FUNCTION|FCALL)",
        "this server has no functions (FUNCTION LOAD): use Redis or Valkey 7.2 or newer",
    ),
    (r"unknown command", "use Redis or Valkey 7.2 or newer"),
)


def advice(error: BaseException) -> str:
    """Return what to do about an error of redis-py, in one sentence without a full stop."""
    if isinstance(error, redis.exceptions.NoPermissionError):
        missing = re.search(r"the '([a-z|]+)' command", str(error))
        rule = f"+{missing[1]}" if missing else ACL_RULES
        return f"allow it: ACL SETUSER <user> {rule}; all that is needed: {ACL_RULES}"
    if wants_password(error):
        return _GIVE_IT
    if isinstance(error, redis.TimeoutError) and "handshake" in f"{error} {error.__cause__} {error.__context__}":
        return _NO_TLS  # a server without TLS takes what begins it for a command, and waits for its end
    by_type = [remedy for kind, remedy in _BY_TYPE if isinstance(error, kind)]
    by_text = [remedy for pattern, remedy in _BY_TEXT if re.search(pattern, str(error), re.IGNORECASE)]
    return next(iter(by_type + by_text), "start Redis, or correct SWAPJOBS_REDIS_URL")

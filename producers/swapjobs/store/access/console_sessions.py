"""Who is signed in to the console: the browser has a random token, Redis its digest and that of the key.

So a session ends with its key, by its own time, or when it is ended; and what lies in Redis signs nobody in.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swapjobs.store import keys
from swapjobs.store.access.api_keys import digest

if TYPE_CHECKING:
    import redis


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """The key that a session was begun with: its id (None for one of the settings), and its digest."""

    key_id: str | None
    key_digest: str


class ConsoleSessions:
    """The sessions in one Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def begin(self, key_id: str | None, key_digest: str, ttl_s: int) -> str:
        """Begin a session that ends after `ttl_s` seconds, and return its token."""
        token = secrets.token_urlsafe(32)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(keys.console_session(digest(token)), mapping={"id": key_id or "", "digest": key_digest})
            pipe.expire(keys.console_session(digest(token)), ttl_s)
            pipe.execute()
        return token

    def find(self, token: str) -> ConsoleSession | None:
        """Return the session of a token; None where there is none any more."""
        fields: Any = self._redis.hgetall(keys.console_session(digest(token)))
        return ConsoleSession(fields["id"] or None, fields["digest"]) if fields else None

    def end(self, token: str) -> None:
        """End it."""
        self._redis.delete(keys.console_session(digest(token)))

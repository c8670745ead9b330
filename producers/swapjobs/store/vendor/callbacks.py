"""The vendor's callbacks: where it is to post them, and what one leads to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from swapjobs.store import keys

if TYPE_CHECKING:
    import redis

    from swapjobs.store.functions import Functions

PATH: Final = "/vendor/callback"
_KEY_BYTES: Final = 32
_CODE_BYTES: Final = 15  # 120 bits, as 24 letters and digits


class CallbackStore:
    """The callbacks of one fleet. Its key lies in Redis: who knows it can let jobs be looked at, and nothing else."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def url_of(self, gateway_url: str, job_id: str) -> str:
        """Return where the vendor is to post that this job's task is done; empty without a gateway."""
        return f"{gateway_url.rstrip('/')}{PATH}/{job_id}.{self._code_of(job_id)}" if gateway_url else ""

    def take(self, code: str) -> bool:
        """Let the job be looked at now, if `code` is one that was given to the vendor; return whether it is."""
        job_id, _, given = code.partition(".")
        if not hmac.compare_digest(given.encode(errors="surrogatepass"), self._code_of(job_id).encode()):
            return False
        self._functions.call("jobs/called_back", job_id)
        return True

    def _code_of(self, job_id: str) -> str:
        digest = hmac.digest(self._key, job_id.encode(errors="surrogatepass"), hashlib.sha256)[:_CODE_BYTES]
        return base64.b32encode(digest).decode().lower()

    @cached_property
    def _key(self) -> bytes:
        own = secrets.token_hex(_KEY_BYTES)
        before: Any = self._redis.set(keys.callback_key(), own, nx=True, get=True)
        return str(before or own).encode()

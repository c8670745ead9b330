"""HTTP to a gateway: one pool of connections in each process; what gets no answer is asked again."""

from __future__ import annotations

import os
import random
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, SecretStr

from swapjobs import tracing
from swapjobs.client.http.answers import ours, problem_of, read
from swapjobs.contract.errors import QueueUnavailable, SettingsError, SwapjobsError
from swapjobs.contract.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_Model = TypeVar("_Model", bound=BaseModel)

_ANSWER_S: Final = 15.0  # how long one answer may take, besides what was asked to wait for
_MARK: Final = "Swapjobs-Request"  # an answer that bears it is the answer to this request
_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_CONNECTIONS: Final = 1200  # as to Redis: each thread that waits holds one
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_IN_BETWEEN: Final = frozenset({502, 503, 504})  # of a load balancer, while the gateway behind it is away


@dataclass(frozen=True)
class GatewayOptions:
    """How requests go to the gateway.

    Attributes:
        patience_s: For so long a call that gets no answer is made again, if to make it twice does no harm.
        allow_http: Also without TLS, to other machines than this one: then anybody on the way can read the key.
        trust_env: Use HTTPS_PROXY, SSL_CERT_FILE and the like of the environment. Not by default: the key should go
            nowhere that the caller did not name.
    """

    patience_s: float = 10.0
    allow_http: bool = False
    trust_env: bool = False


class GatewayHttp:
    """Requests to one gateway with one key; thread-safe, and safe over a fork: a child makes connections of its own.

    On the parent's it would read the answers to others' requests. The key is in no `repr`, log or error text.
    """

    def __init__(self, url: str, key: str | SecretStr, options: GatewayOptions) -> None:
        self.url = _checked_url(url, allow_http=options.allow_http)
        self.patience_s = options.patience_s
        self._key = _Key(key if isinstance(key, SecretStr) else SecretStr(key))
        self._trust_env = options.trust_env
        self._pid, self._client = os.getpid(), self._connect()
        self._of_parents: list[httpx.Client] = []  # kept as they are: to close them is not for a child

    def _connect(self) -> httpx.Client:
        return httpx.Client(
            auth=self._key,
            timeout=httpx.Timeout(_ANSWER_S, connect=5),
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=20),
            trust_env=self._trust_env,
        )

    @property
    def _http(self) -> httpx.Client:
        if self._pid != os.getpid():
            # Two threads that come here at once make one each, and the later one stays: no harm, and no lock, which a
            # fork could leave locked for ever.
            self._of_parents.append(self._client)
            self._client, self._pid = self._connect(), os.getpid()
        return self._client

    def __repr__(self) -> str:
        return f"GatewayHttp({self.url!r})"

    def get(self, path: str, model: type[_Model], **params: Any) -> _Model:
        """Return what lies at `path`; parameters that are None are left out."""
        return read(self.send("GET", path, params=params), model)

    def post(
        self, path: str, model: type[_Model], body: Any = None, *, repeatable: bool = True, **params: Any
    ) -> _Model:
        """Post `body` as JSON and return the answer."""
        return read(self.send("POST", path, params=params, body=body, repeatable=repeatable), model)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0,
        repeatable: bool = True,
    ) -> httpx.Response:
        """Make a request and return its answer, which is a success.

        A request without an answer is made again, after pauses of 0.1 s and more, for `patience_s` seconds; where that
        is not safe (`repeatable`), only while no connection could be made.

        Raises:
            SwapjobsError: what the gateway said, as one of `errors.py`.
            QueueUnavailable: it could not be reached, or answered something else than what was asked.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        until, pause_s = time.monotonic() + self.patience_s, _PAUSE_S
        timeout = httpx.Timeout(_ANSWER_S + wait_s, connect=5)
        while True:
            marked = {**_trace(), **(headers or {}), _MARK: secrets.token_hex(8)}
            try:
                answer = self._http.request(
                    method, self.url + path, params=given or None, json=body, headers=marked, timeout=timeout
                )
            except httpx.HTTPError as error:
                again = repeatable or isinstance(error, _NEVER_SENT)
                problem: SwapjobsError = self._unreachable(error, known=again)
            else:
                if answer.headers.get(_MARK, marked[_MARK]) != marked[_MARK]:  # an older gateway sends none back
                    raise QueueUnavailable(f"the gateway at {self.url} answered another request than this one")
                if answer.is_success:
                    return answer
                problem = problem_of(answer)
                again = repeatable and answer.status_code in _IN_BETWEEN and not ours(answer)
            if not again or time.monotonic() + pause_s > until:
                raise problem from None  # httpx's error holds the request, and that the key
            time.sleep(pause_s * random.uniform(0.5, 1))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _unreachable(self, error: httpx.HTTPError, *, known: bool) -> QueueUnavailable:
        what = type(error).__name__ + (f": {error}" if str(error) else "")
        doubt = "" if known else "; whether it did what was asked is not known"
        return QueueUnavailable(f"the gateway at {self.url} cannot be reached: {what}{doubt}")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _trace() -> dict[str, str]:
    traceparent = tracing.current().traceparent
    return {"traceparent": traceparent} if traceparent else {}


class _Key(httpx.Auth):
    def __init__(self, key: SecretStr) -> None:
        if not re.fullmatch(r"[!-~]{1,200}", key.get_secret_value()):
            raise SettingsError("the gateway's key must be 1 to 200 printable ASCII characters without blanks")
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign in."""
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        yield request


def _checked_url(url: str, *, allow_http: bool) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingsError("the gateway's URL must be like https://swaps.example or https://example.com/swaps")
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise SettingsError("the gateway's URL must begin with https://: anybody on the way could read the key")
    if parts.path.rstrip("/").endswith("/v1"):
        raise SettingsError("the gateway's URL must not end in /v1: leave it out, the client puts it there")
    return url.rstrip("/")

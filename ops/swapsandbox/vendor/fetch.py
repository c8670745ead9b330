"""Getting the pictures that a call names."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx

from swapsandbox.vendor.engine import SwapRefused

MAX_BYTES: Final = 20_000_000
MAX_REDIRECTS: Final = 3
DEADLINE_S: Final = 20.0

# A sandbox mostly reads from its own machine, which no proxy from the environment can reach.
_NO_PROXY: Final = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}


class Fetcher:
    """Fetches pictures over HTTP within fixed bounds: size, time and redirects.

    Its messages name the picture by its part ("the source picture") and never show the URL, which may be signed.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES, deadline_s: float = DEADLINE_S) -> None:
        self._max_bytes = max_bytes
        self._deadline_s = deadline_s
        self._client = httpx.AsyncClient(
            follow_redirects=True, max_redirects=MAX_REDIRECTS, mounts=_NO_PROXY, timeout=deadline_s
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def fetch(self, url: str, part: str) -> bytes:
        """Return the body behind `url`; `part` is the picture's name in messages, e.g. "source picture".

        Raises:
            SwapRefused: `FETCH_FAILED` or `IMAGE_TOO_LARGE`.
        """
        try:
            _ = urlsplit(url).port  # a port beyond 65535 would pass httpx and fail in the socket as something else
            async with asyncio.timeout(self._deadline_s):
                return await self._read(url, part)
        except TimeoutError:
            raise SwapRefused("FETCH_FAILED", f"the {part} did not come within {self._deadline_s:g} s") from None
        except httpx.UnsupportedProtocol:
            raise SwapRefused("FETCH_FAILED", f"the {part} is not at an http or https URL") from None
        except httpx.TooManyRedirects:
            raise SwapRefused("FETCH_FAILED", f"the {part} took over {MAX_REDIRECTS} redirects") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise SwapRefused("FETCH_FAILED", f"the {part} is unreachable ({type(error).__name__})") from None

    async def _read(self, url: str, part: str) -> bytes:
        async with self._client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
            if not response.is_success:
                raise SwapRefused("FETCH_FAILED", f"the {part} answered HTTP {response.status_code}")
            body = bytearray()
            # Raw: a few kilobytes of gzip could unpack to more than the memory before the size is seen.
            async for block in response.aiter_raw():
                body += block
                if len(body) > self._max_bytes:
                    raise SwapRefused("IMAGE_TOO_LARGE", f"the {part} is over {self._max_bytes / 1e6:g} MB")
            return bytes(body)

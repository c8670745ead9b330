"""A vendor that answers at once (or after a fixed time) and costs little: only for benchmarks.

    python stub.py PORT LATENCY_MS

Every POST gets the same success; the process prints nothing. Its own cost must stay far below the worker's.
"""

from __future__ import annotations

import asyncio
import sys

_BODY = (
    b'{"code":"200","msg":"success","data":{"taskId":"1116","toolTask":"roop","status":1,'
    b'"outputImageUrl":"https://pictures.example/results/2026/11/22/5f0c2a8e6d0b4d579f6a3f5f8d1c7b21.png"}}'
)
_REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Stub(asyncio.Protocol):
    """Counts out requests by their Content-Length and answers each."""

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            _, found, rest = head.partition(b"content-length:")
            length = int(rest.partition(b"\r\n")[0]) if found else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            if self._latency_s:
                asyncio.get_running_loop().call_later(self._latency_s, self._transport.write, _REPLY)
            else:
                self._transport.write(_REPLY)


async def main(port: int, latency_ms: float) -> None:
    """Serve on loopback until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stub(latency_ms / 1000), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))

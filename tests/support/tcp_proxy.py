"""A stretch of network between a program and its server that can go bad: a TCP forwarder in a process of its own.

`python -m support.tcp_proxy LISTEN_PORT TARGET_PORT`; SIGUSR1 refuses new connections, SIGUSR2 takes them again. Each
SIGHUP loses one reply: the server has done its work, and its client sees only the connection end. Stopped with SIGSTOP
it is what hurts most: connections stay open, new ones are even taken, and nothing comes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from typing import Self

from support.builders import wait_until
from support.paths import ROOT
from swapsandbox.processes.redis_server import free_port

HOST = "127.0.0.1"


class TcpProxy:
    """The forwarder to a port of this machine, as a child process; a context manager."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self._command = [sys.executable, "-m", "support.tcp_proxy", str(self.port), str(target_port)]

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def refuse(self) -> None:
        """Take no new connections; those that are open stay."""
        self._process.send_signal(signal.SIGUSR1)
        wait_until(lambda: not self._listens(), what="the proxy refuses")

    def lose_a_reply(self) -> None:
        """Let the next reply, on whichever connection, end the connection instead."""
        self._process.send_signal(signal.SIGHUP)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"one to lose\n"

    def accept(self) -> None:
        self._process.send_signal(signal.SIGUSR2)
        wait_until(self._listens, what="the proxy listens")

    def _listens(self) -> bool:
        return asyncio.run(_answers(self.port))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=ROOT / "tests", stdout=subprocess.PIPE)
        try:
            wait_until(self._listens, what="the proxy listens")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except ConnectionError:  # refused, or reset where it stops to listen in this moment
        return False
    writer.close()
    await writer.wait_closed()
    return True


class Losses:
    """How many replies are still to be lost."""

    def __init__(self) -> None:
        self.left = 0

    def one_more(self) -> None:
        self.left += 1
        print("one to lose", flush=True)  # noqa: T201 - to the parent, which waits for it

    def take(self) -> bool:
        """Tell whether this reply is to be lost."""
        is_lost = self.left > 0
        self.left -= is_lost
        return is_lost


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losses: Losses | None = None) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            if losses is not None and losses.take():
                break
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _serve(port: int, target_port: int) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(HOST, target_port)
        except ConnectionError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer, losses))

    losses = Losses()
    wanted = asyncio.Event()
    unwanted = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, unwanted.set)
    loop.add_signal_handler(signal.SIGUSR2, wanted.set)
    loop.add_signal_handler(signal.SIGHUP, losses.one_more)
    while True:
        server = await asyncio.start_server(forward, HOST, port)
        await unwanted.wait()
        server.close()
        unwanted.clear()
        await wanted.wait()
        wanted.clear()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))

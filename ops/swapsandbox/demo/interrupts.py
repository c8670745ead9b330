"""Ctrl-C at the wrong moment: while a child process is being made, nobody knows it yet who could stop it."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """A signal handler like Python's own for Ctrl-C, which also remembers.

    KeyboardInterrupt is lost where Python can't raise: in a destructor, or a callback of the import machinery.
    """

    def __init__(self) -> None:
        self._came = False
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, self)

    def __call__(self, _number: int, _frame: object) -> None:
        """Take note of a signal, and raise."""
        self._came = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came that nobody heard of."""
        if self._came:
            raise KeyboardInterrupt


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP take effect only at the end of the block.

    Not by blocking them: a child would inherit that. Without effect outside the main thread, which alone gets them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, lambda got, _frame: came.append(got))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])

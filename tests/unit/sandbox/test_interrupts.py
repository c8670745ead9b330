"""A signal that comes while a child process is being made takes effect when the child is known."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from swapsandbox.demo.interrupts import Interrupt, uninterrupted


def test_a_ctrl_c_comes_through_at_the_end_of_the_block_and_not_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    steps = []

    def make() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            steps.append("made")

    with pytest.raises(KeyboardInterrupt):
        make()
    assert steps == ["made"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_child_made_in_the_block_still_ends_by_signals() -> None:
    with uninterrupted():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    child.terminate()
    assert child.wait(20) == -signal.SIGTERM


def test_outside_the_main_thread_it_does_nothing() -> None:
    passed = []

    def run() -> None:
        with uninterrupted():
            passed.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert passed == [True]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_that_a_destructor_swallowed_is_heard_later() -> None:
    class Swallowing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        interrupt = Interrupt()
        interrupt.check()
        Swallowing()
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

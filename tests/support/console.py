"""The console as a person has it: a page in a browser, what went wrong in it, and how one signs in."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.builders import claim, submit
from swapjobs.contract.lifecycle import Event
from swapjobs.store import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from swapjobs.store.store import Store


@dataclass(frozen=True)
class Keys:
    """A key for each kind of person."""

    operator: str
    reader: str
    acme: str
    acme_reader: str
    submitter: str


@dataclass
class Console:
    """One person's browser.

    Attributes:
        page: Its window.
        url: Of the console, without a slash at the end.
        problems: What its console said, and what scripts threw.
    """

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def open(cls, browser: Browser, gateway_url: str, **context: Any) -> Iterator[Console]:
        """Open a browser profile of its own, in which nobody is signed in."""
        profile = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **context})
        profile.set_default_timeout(15_000)
        console = cls(profile.new_page(), f"{gateway_url}/console")
        console.page.on("pageerror", lambda error: console.problems.append(str(error)))
        console.page.on("console", lambda message: console._note(message.type, message.text))
        yield console
        profile.close()

    def sign_in(self, key: str) -> None:
        self.page.goto(f"{self.url}/sign-in")
        self.page.get_by_label("Key", exact=True).fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.url}/")

    def see(self, place: str) -> int:
        """Go to a page of the console, and return the HTTP status."""
        answer = self.page.goto(f"{self.url}{place}")
        assert answer is not None
        return answer.status

    def confirm(self) -> None:
        """Say yes to the question that is asked."""
        self.page.get_by_role("button", name="Yes, do it").click()

    def text(self) -> str:
        return self.page.locator("main").inner_text()

    def ids(self) -> list[str]:
        """The product's ids in the list, from top to bottom."""
        return self.page.locator("#rows .id").all_inner_texts()

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.problems.append(text)


def succeed(store: Store, job_id: str, picture: str = "https://pictures.example/out.jpg") -> str:
    """Let a job succeed, as a worker would, and return its id."""
    claimed = claim(store, job_id)
    entry = record.entry("result", output_url=picture, vendor_task_id="t-1", at=claimed.now_ms, duration_ms=900)
    call: dict[str, Any] = {"call": "roop swap succeeded", "call_ms": 900}
    assert store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, entry=entry, **call) == "ok"
    return job_id


def fail(store: Store, job_id: str, code: str = "no_face", message: str = "no face found") -> str:
    """Let a job fail, as a worker would, and return its id."""
    claimed = claim(store, job_id)
    entry = record.entry("error", code=code, message=message, at=claimed.now_ms, duration_ms=300, worker="w1")
    call: dict[str, Any] = {"call": "roop swap failed", "call_ms": 300}
    assert store.attempts.record_outcome(claimed, Event.FAIL, patch={"code": code}, entry=entry, **call) == "ok"
    return job_id


def failed(store: Store, **fields: Any) -> str:
    """Return a job that has failed."""
    return fail(store, submit(store, **fields))

"""A browser as people have it, and the console of a gateway with keys; everything lies in an empty Redis."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect, sync_playwright

from support.browser import find_browser
from support.console import Console, Keys
from support.processes import (  # noqa: F401 - pytest finds fixtures by name
    ACME_KEY,
    ZETA_KEY,
    GatewayProcess,
    common_gateways,
    environment,
    hooks,
    program,
    receiver_server,
    sandbox_server,
    start_gateway,
    vendor,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from swapjobs.store.store import Store


expect.set_options(timeout=20_000)  # the overview is drawn again after some seconds, on a slow machine after more


class _Chromium:
    """A browser for the tests of this folder, one after the other.

    As long as Playwright is there an event loop runs in this thread, which tests elsewhere can't bear: so it ends where
    the next test is none of these.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._browser: Browser | None = None

    def open(self) -> Browser:
        if self._browser is None:
            quiet = (
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-quic",
            )
            playwright = self._stack.enter_context(sync_playwright())
            self._browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", *quiet])
            self._stack.callback(self._browser.close)
        return self._browser

    def close(self) -> None:
        self._stack.close()
        self._browser = None


_chromium: Final = _Chromium()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None or nextitem.path.parent != Path(__file__).parent:
        _chromium.close()


@pytest.fixture
def browser() -> Browser:
    return _chromium.open()


@pytest.fixture
def keys(store: Store) -> Keys:
    """One key for each kind of person."""
    return Keys(
        operator=store.api_keys.create("ops", scopes=["operate"]).key,
        reader=store.api_keys.create("*", scopes=["read"]).key,
        acme=store.api_keys.create("acme").key,
        acme_reader=store.api_keys.create("acme", scopes=["read"]).key,
        submitter=store.api_keys.create("acme", scopes=["submit"]).key,
    )


@pytest.fixture
def console(
    browser: Browser,
    common_gateways: Callable[..., GatewayProcess],  # noqa: F811 - the fixture
    redis_url: str,  # noqa: ARG001 - emptied for each test
) -> Iterator[Console]:
    """The console of a gateway that shows pictures, in a fresh browser profile."""
    keys_in_settings = f"acme:{ACME_KEY},zeta:{ZETA_KEY}"
    gateway = common_gateways(
        SWAPJOBS_GATEWAY_KEYS=keys_in_settings,
        SWAPJOBS_CONSOLE_PICTURES="true",
        SWAPJOBS_PRICES="roop=0.04",
        SWAPJOBS_VENDOR_ID_PREFIX="test.",
    )
    with Console.open(browser, gateway.url) as opened:
        yield opened

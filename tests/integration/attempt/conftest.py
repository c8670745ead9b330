"""A vendor for attempts in this process, which does each swap at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.web_server import always, answer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.web_server import WebServer

DONE = '{"code":"200","msg":"success","data":{"taskId":"1","status":1,"outputImageUrl":"https://a.example/o.png"}}'


@pytest.fixture
def vendor_site() -> Iterator[WebServer]:
    with serving(always(answer(DONE))) as server:
        yield server

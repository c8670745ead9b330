"""Real swaps over HTTP: fetched, swapped in a worker process, served; and every picture that can't be swapped."""

from __future__ import annotations

import asyncio
import http.server
import io
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from PIL import Image

from swapsandbox.processes.server_process import ServerProcess, sandbox
from swapsandbox.vendor.engine import SwapRefused
from swapsandbox.vendor.fetch import Fetcher
from swapsandbox.vendor.pictures_site import PICTURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOOL = "/AIGCImgOpenServ/saas/tool"
COLLINS = (PICTURES / "collins.png").read_bytes()
HOPPER = (PICTURES / "hopper.jpg").read_bytes()

pytestmark = pytest.mark.slow


def bomb() -> bytes:
    """Return a few bytes of PNG that claim 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def side_by_side() -> bytes:
    """Return one picture with both portraits."""
    left, right = (Image.open(io.BytesIO(portrait)).convert("RGB") for portrait in (COLLINS, HOPPER))
    both = Image.new("RGB", (left.width + right.width, max(left.height, right.height)))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    encoded = io.BytesIO()
    both.save(encoded, "JPEG")
    return encoded.getvalue()


PAGES: dict[str, bytes] = {
    "/collins": COLLINS,
    "/hopper": HOPPER,
    "/both": side_by_side(),
    "/cat": (PICTURES / "chelsea.png").read_bytes(),
    "/truncated": HOPPER[:5000],
    "/empty": b"",
    "/page": b"<!doctype html><p>not a picture",
    "/bomb": bomb(),
    "/heavy": bytes(21 * 1024 * 1024),
}


class PictureHost(http.server.BaseHTTPRequestHandler):
    """Serves `PAGES`; `/hops/N/x` redirects N times, `/slow` never ends, anything else is not found."""

    def do_GET(self) -> None:
        """Answer."""
        _, *parts = self.path.split("/")
        if parts[0] == "hops":
            more = int(parts[1]) - 1
            return self._redirect(f"/hops/{more}/{parts[2]}" if more else f"/{parts[2]}")
        if parts[0] == "elsewhere":
            return self._redirect("ftp://127.0.0.1/picture.png")
        if self.path == "/slow":
            return self._drip()
        body = PAGES.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        try:
            self.wfile.write(body or b"")
        except OSError:  # the sandbox hung up on a picture that is too heavy
            self.close_connection = True
        return None

    def _redirect(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.end_headers()

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b".")
                time.sleep(0.02)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def pictures() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), PictureHost) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{host.server_address[1]}"
        host.shutdown()


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with sandbox() as running:
        yield running


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        client.post("/_sandbox/reset").raise_for_status()
        yield client


def swap(client: httpx.Client, tool: str = "roop", business_id: str = "job", **body: object) -> dict[str, Any]:
    answer = client.post(f"{TOOL}/{tool}", json={"businessTaskId": business_id, **body})
    assert answer.status_code == 200
    envelope: dict[str, Any] = answer.json()
    assert envelope["code"] == "200"
    return envelope


def stats(client: httpx.Client) -> dict[str, Any]:
    counts: dict[str, Any] = client.get("/_sandbox/stats").json()
    return counts


def wait_until(look: Callable[[], bool], *, deadline_s: float = 10.0) -> None:
    until = time.monotonic() + deadline_s
    while not look():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_a_swap_gives_a_new_picture_that_can_be_fetched(client: httpx.Client, pictures: str) -> None:
    answer = swap(client, sourceUrl=f"{pictures}/collins", targetUrl=f"{pictures}/hopper")
    assert answer["msg"] == "success"
    assert set(answer["data"]) == {"taskId", "toolTask", "status", "outputImageUrl"}
    assert answer["data"]["status"] == 1
    output = client.get(answer["data"]["outputImageUrl"])
    assert output.status_code == 200
    kind = output.headers["Content-Type"]
    assert output.content.startswith({"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8"}[kind])
    assert output.content not in {COLLINS, HOPPER}
    result = client.post(f"{TOOL}/roop/queryTask", json={"businessTaskId": "job"}).json()["data"]
    assert result["outputImageUrl"] == answer["data"]["outputImageUrl"]


def test_the_sandbox_swaps_its_own_samples(client: httpx.Client, server: ServerProcess) -> None:
    answer = swap(
        client,
        sourceUrl=f"{server.url}/pictures/hopper.jpg",
        targetUrl=f"{server.url}/pictures/collins.png",
    )
    assert answer["data"]["status"] == 1


def test_the_same_pictures_give_the_same_result_and_are_billed_each_time(client: httpx.Client, pictures: str) -> None:
    def one(at: int) -> str:
        body = {"sourceUrl": f"{pictures}/collins", "targetUrl": f"{pictures}/hopper"}
        url: str = swap(client, business_id=f"job-{at}", **body)["data"]["outputImageUrl"]
        return url

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(one, range(8)))) == 1
    assert stats(client)["billed"] == 8


def test_the_other_tools_swap_too(client: httpx.Client, pictures: str) -> None:
    source, target = f"{pictures}/collins", f"{pictures}/hopper"
    balanced = swap(client, "v2/roop", sourceUrl=source, targetUrl=target, fidelityWeight="0.5")
    fused = swap(client, "face/fusion", sourceUrl=[source], targetUrl=target, faceIdx=1)
    for answer in (balanced, fused):
        assert answer["data"]["status"] == 1, answer["msg"]
        assert client.get(answer["data"]["outputImageUrl"]).status_code == 200
    assert len({answer["data"]["outputImageUrl"] for answer in (balanced, fused)}) == 2


def test_two_faces_can_change_places(client: httpx.Client, pictures: str) -> None:
    sources = [f"{pictures}/hopper", f"{pictures}/collins"]
    answer = swap(client, "face/fusion", sourceUrl=sources, targetUrl=f"{pictures}/both")
    assert answer["data"]["status"] == 1, answer["msg"]


@pytest.mark.parametrize("index", [None, 1])
def test_two_sources_need_two_faces_in_the_target(client: httpx.Client, pictures: str, index: int | None) -> None:
    sources = [f"{pictures}/collins", f"{pictures}/hopper"]
    answer = swap(client, "face/fusion", sourceUrl=sources, targetUrl=f"{pictures}/hopper", faceIdx=index)
    assert answer["data"]["status"] == 2
    assert answer["msg"].startswith("TARGET_NO_FACE: target: 2 faces wanted")


def test_a_face_that_is_not_there_cannot_be_replaced(client: httpx.Client, pictures: str) -> None:
    answer = swap(client, "face/fusion", sourceUrl=[f"{pictures}/collins"], targetUrl=f"{pictures}/hopper", faceIdx=2)
    assert answer["msg"].startswith("TARGET_NO_FACE: target: face 2 wanted")


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("collins", "cat", "TARGET_NO_FACE: "),
        ("cat", "hopper", "SOURCE_NO_FACE: "),
        ("truncated", "hopper", "BAD_IMAGE: "),
        ("collins", "empty", "BAD_IMAGE: "),
        ("page", "hopper", "BAD_IMAGE: "),
        ("collins", "bomb", "IMAGE_TOO_LARGE: "),
        ("collins", "heavy", "IMAGE_TOO_LARGE: the target picture is over 20 MB"),
        ("collins", "missing", "FETCH_FAILED: the target picture answered HTTP 404"),
        ("hops/4/collins", "hopper", "FETCH_FAILED: the source picture took over 3 redirects"),
        ("elsewhere", "hopper", "FETCH_FAILED: the source picture is not at an http or https URL"),
    ],
)
def test_pictures_that_cannot_be_swapped_fail_for_a_stated_reason_and_free_of_charge(
    client: httpx.Client, pictures: str, source: str, target: str, message: str
) -> None:
    answer = swap(client, sourceUrl=f"{pictures}/{source}", targetUrl=f"{pictures}/{target}")
    assert answer["msg"].startswith(message)
    assert answer["data"]["status"] == 2
    assert "outputImageUrl" not in answer["data"]
    counts = stats(client)
    assert (counts["billed"], counts["failed"]) == (0, 1)


def test_three_redirects_are_followed(client: httpx.Client, pictures: str) -> None:
    answer = swap(client, sourceUrl=f"{pictures}/hops/3/collins", targetUrl=f"{pictures}/hopper")
    assert answer["data"]["status"] == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///etc/passwd?signature=s3cret", "must begin with http:// or https://"),
        ("picture.png", "must begin with http:// or https://"),
        ("http://", "has no host name"),
        ("http://[::1", "is not a URL"),
        ("http://127.0.0.1:99999/", "is not a URL"),
        ("http://a\x00b/", "holds white space or control characters"),
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(
    client: httpx.Client, pictures: str, url: str, message: str
) -> None:
    body = {"businessTaskId": "job", "sourceUrl": url, "targetUrl": f"{pictures}/hopper"}
    answer = client.post(f"{TOOL}/roop", json=body).json()
    assert answer["code"] == "400"
    assert answer["msg"].startswith(f"sourceUrl: {message}")
    assert "s3cret" not in answer["msg"]


def test_an_address_that_leads_nowhere_fails_and_is_not_repeated_in_the_message(
    client: httpx.Client, pictures: str
) -> None:
    answer = swap(client, sourceUrl="http://127.0.0.1:1/a.png?signature=s3cret", targetUrl=f"{pictures}/hopper")
    assert answer["data"]["status"] == 2
    assert answer["msg"].startswith("FETCH_FAILED: the source picture is unreachable (ConnectError)")
    assert "s3cret" not in answer["msg"]


def test_a_picture_that_never_ends_is_given_up(pictures: str) -> None:
    async def fetch() -> None:
        fetcher = Fetcher(deadline_s=0.3)
        try:
            await fetcher.fetch(f"{pictures}/slow", "source picture")
        finally:
            await fetcher.close()

    with pytest.raises(SwapRefused, match=r"FETCH_FAILED: the source picture did not come within 0\.3 s"):
        asyncio.run(fetch())


def worker_of(server: ServerProcess) -> psutil.Process:
    """Return the process that swaps (multiprocessing's resource tracker is the server's child, too)."""
    children = psutil.Process(server.pid).children()
    return next(child for child in children if "spawn_main" in " ".join(child.cmdline()))


def test_a_killed_swap_process_is_replaced(pictures: str) -> None:
    with sandbox() as server, httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        worker = worker_of(server)
        worker.kill()
        worker.wait(10)
        body = {"sourceUrl": f"{pictures}/collins", "targetUrl": f"{pictures}/hopper"}
        wait_until(lambda: swap(client, **body)["data"]["status"] == 1)


def test_a_killed_server_leaves_no_process_behind() -> None:
    server = sandbox()
    with server:
        worker = worker_of(server)
        psutil.Process(server.pid).kill()
        assert worker.wait(10) is not None or not worker.is_running()

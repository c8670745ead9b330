"""The sandbox as a program: its envelope to the letter, its start, its end, and what it refuses."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from swapsandbox.processes.server_process import ServerFailed, ServerProcess, sandbox
from swapsandbox.server import SandboxOptions, run
from swapsandbox.serving import RemoteHostRefused, check_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOOL = "/AIGCImgOpenServ/saas/tool"
PICTURES = {"sourceUrl": "http://127.0.0.1/a.png", "targetUrl": "http://127.0.0.1/b.png"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with sandbox("--no-swap", "--key-id", "me", "--key-secret", "s3cret") as running:
        yield running


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    headers = {"X-Request-req-accessKeyId": "me", "X-Request-req-accessKeySecret": "s3cret"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
        client.post("/_sandbox/reset").raise_for_status()
        yield client


def test_a_success_is_the_vendors_documented_reply_to_the_letter(client: httpx.Client, server: ServerProcess) -> None:
    answer = client.post(f"{TOOL}/roop", json={**PICTURES, "businessTaskId": "job"})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "code": "200",
        "msg": "success",
        "data": {
            "taskId": "1",
            "toolTask": "roop",
            "status": 1,
            "outputImageUrl": f"{server.url}/outputs/no-swap.png",
        },
    }


def test_the_output_of_a_load_test_is_a_picture(client: httpx.Client) -> None:
    answer = client.get("/outputs/no-swap.png")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("tool", "body"),
    [
        ("roop", {}),
        ("roop", {"callbackUrl": "http://127.0.0.1/", "undocumented": 1}),
        ("v2/roop", {"fidelityWeight": "0.7"}),
        ("face/fusion", {"sourceUrl": ["http://127.0.0.1/a", "http://127.0.0.1/b"], "faceIdx": 2}),
        ("face/fusion", {"sourceUrl": ["http://127.0.0.1/a"], "callbackUrl": "http://127.0.0.1/"}),
    ],
)
def test_every_tool_takes_its_documented_body(client: httpx.Client, tool: str, body: dict[str, object]) -> None:
    answer = client.post(f"{TOOL}/{tool}", json={**PICTURES, **body, "businessTaskId": "job"}).json()
    assert (answer["code"], answer["data"]["toolTask"], answer["data"]["status"]) == ("200", tool, 1)
    result = client.post(f"{TOOL}/{tool}/queryTask", json={"businessTaskId": "job"}).json()["data"]
    assert result == {**answer["data"], "businessTaskId": "job"}


@pytest.mark.parametrize(
    ("tool", "body", "complaint"),
    [
        ("roop", {"businessTaskId": None}, "businessTaskId: must be a text"),
        ("roop", {"businessTaskId": 7}, "businessTaskId: must be a text"),
        ("roop", {"sourceUrl": ["http://127.0.0.1/a"]}, "sourceUrl: must be a text"),
        ("roop", {"targetUrl": ""}, "targetUrl: must begin with http:// or https://"),
        ("v2/roop", {"fidelityWeight": "1.5"}, "fidelityWeight: must be at most 1"),
        ("v2/roop", {"fidelityWeight": "nan"}, "fidelityWeight: must be"),
        ("face/fusion", {}, "sourceUrl: must be an array of one or two URLs"),
        ("face/fusion", {"sourceUrl": []}, "sourceUrl: must be an array of one or two URLs"),
        ("face/fusion", {"sourceUrl": ["a", "b", "c"]}, "sourceUrl: must be an array of one or two URLs"),
        ("face/fusion", {"sourceUrl": ["http://a"], "faceIdx": 0}, "faceIdx: must be at least"),
        ("face/fusion", {"sourceUrl": ["http://a"], "faceIdx": "x"}, "faceIdx: must be a whole number"),
        ("prompts/expand", {"mode": 2, "sourcePrompt": "a cat"}, "mode: must be one of 0, 1"),
        ("imgExpand", {"sourceImage": "http://a"}, "imageCount: is missing"),
    ],
)
def test_a_wrong_body_gets_code_400_and_the_reason(
    client: httpx.Client, tool: str, body: dict[str, object], complaint: str
) -> None:
    answer = client.post(f"{TOOL}/{tool}", json={**PICTURES, "businessTaskId": "job", **body})
    assert answer.status_code == 200
    assert (answer.json()["code"], answer.json()["data"]) == ("400", None)
    assert complaint in answer.json()["msg"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe"])
def test_what_is_no_json_object_gets_code_400(client: httpx.Client, raw: bytes) -> None:
    assert client.post(f"{TOOL}/roop", content=raw).json()["code"] == "400"
    assert client.post(f"{TOOL}/roop/queryTask", content=raw).json()["code"] == "400"


def test_a_task_is_known_to_its_own_tool_only_and_unknown_is_null_data(client: httpx.Client) -> None:
    client.post(f"{TOOL}/roop", json={**PICTURES, "businessTaskId": "job"})
    for tool, business_id in (("roop", "other"), ("v2/roop", "job")):
        answer = client.post(f"{TOOL}/{tool}/queryTask", json={"businessTaskId": business_id})
        assert answer.status_code == 200
        assert (answer.json()["code"], answer.json()["data"]) == ("200", None)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-req-accessKeySecret": ""},
        {"X-Request-req-accessKeyId": "you"},
        {"X-Request-req-accessKeyId": "me\ts3cret", "X-Request-req-accessKeySecret": ""},
    ],
)
def test_wrong_credentials_get_code_401_and_are_not_repeated(client: httpx.Client, headers: dict[str, str]) -> None:
    answer = client.post(f"{TOOL}/roop", json={**PICTURES, "businessTaskId": "job"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (200, "401")
    assert "s3cret" not in answer.text


def test_without_configured_credentials_any_are_accepted() -> None:
    with sandbox("--no-swap") as server:
        answer = httpx.post(f"{server.url}{TOOL}/roop", json={**PICTURES, "businessTaskId": "job"}, trust_env=False)
    assert answer.json()["code"] == "200"


def test_the_front_page_and_the_sample_pictures_are_served(client: httpx.Client) -> None:
    assert "stand-in for the remote face-swap API" in client.get("/").text
    picture = client.get("/pictures/hopper.jpg")
    assert picture.headers["Content-Type"] == "image/jpeg"
    assert picture.content.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/../server.py",
        "/pictures/..%2fserver.py",
        "/pictures/%2e%2e/server.py",
        "/pictures/%2fetc%2fpasswd",
        "/pictures/",
        "/pictures/none.png",
        "/outputs/../server.py",
        "/outputs/none.png",
        "/outputs/no-swap",
    ],
)
def test_no_path_leads_out_of_the_served_folders(server: ServerProcess, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)  # unlike httpx it leaves dots alone
    connection.request("GET", path)
    assert connection.getresponse().status == 404
    connection.close()


def test_only_loopback_hosts_pass_unless_more_is_allowed() -> None:
    for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost"):
        check_host(host, allow_remote=False)
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", ""):
        with pytest.raises(RemoteHostRefused, match="--allow-remote"):
            check_host(host, allow_remote=False)
        check_host(host, allow_remote=True)
    with pytest.raises(RemoteHostRefused, match=r"refusing to listen on 0\.0\.0\.0"):
        run(SandboxOptions(host="0.0.0.0", no_swap=True))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--host", "0.0.0.0"], "error: refusing to listen on 0.0.0.0"),
        (["--fault", "http_503:count"], "error: fault 'http_503:count': 'count' is not key=value"),
        (["--rate", "fast"], "error: not a rate: 'fast'"),
        (["--port", "65536"], "error: can't listen on 127.0.0.1 port 65536: it is not from 0 to 65535"),
        (["--rate", "5", "--burst", "0"], "error: a rate must be above 0 and a burst at least 1"),
    ],
)
def test_options_that_cannot_be_followed_end_the_program_with_the_reason(arguments: list[str], complaint: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "swapsandbox.server", "--no-swap", "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(complaint)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "error: the face swap can't be loaded (no OpenCV here): install swapjobs[demo], or start with --no-swap"),
        (["--workers", "0"], "error: at least 1 process must swap faces, not 0"),
    ],
)
def test_without_a_working_face_swap_the_start_fails_and_names_the_way_out(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('no OpenCV here')")
    ended = subprocess.run(
        [sys.executable, "-m", "swapsandbox.server", "--port", "0", *arguments],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (2, f"{complaint}\n")


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = f"can't listen on 127.0.0.1 port {port}: Address already in use; another sandbox may have it "
        way_out = r"; choose another --port \(0 takes a free one\)"
        with pytest.raises(ServerFailed, match=rf"status 2:\nerror: {re.escape(line)}.*{way_out}"):
            sandbox("--no-swap", port=port).start()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly_with_one_line_printed_and_status_0(end: signal.Signals) -> None:
    server = sandbox("--no-swap")
    with server:
        assert server.pid is not None
        process = psutil.Process(server.pid)
        process.send_signal(end)
        assert process.wait(10) in {0, None}
        assert server.output() == f"sandbox ready on {server.url}\n"
        assert server.stop() == 0


def test_calls_under_way_do_not_hold_up_the_end() -> None:
    server = sandbox("--no-swap", "--fault", "hang:s=600,id=a", "--fault", "latency:ms=600000,id=b")
    with server, ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(
                httpx.post,
                f"{server.url}{TOOL}/roop",
                json={**PICTURES, "businessTaskId": business_id},
                timeout=60,
                trust_env=False,
            )
            for business_id in "ab"
        ]
        until = time.monotonic() + 10
        while httpx.get(f"{server.url}/_sandbox/stats", trust_env=False).json()["in_flight"] < 2:
            assert time.monotonic() < until
        began = time.monotonic()
        assert server.pid is not None
        process = psutil.Process(server.pid)
        process.terminate()
        process.wait(10)
        assert time.monotonic() - began < 5
        assert server.output().count("\n") == 1
        assert isinstance(calls[0].exception(), httpx.TransportError)


def test_a_server_can_be_started_again_where_it_was() -> None:
    server = sandbox("--no-swap")
    addresses = []
    for _ in range(2):
        with server:
            addresses.append(server.url)
            assert httpx.get(f"{server.url}/healthz", trust_env=False).json() == {"status": "ok", "pid": server.pid}
    assert addresses[0] == addresses[1]
    assert server.pid is None
    assert server.stop() is None


def test_port_0_takes_a_free_port_and_prints_it() -> None:
    command = [sys.executable, "-m", "swapsandbox.server", "--no-swap", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("sandbox ready on ").strip()
        try:
            assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        finally:
            process.terminate()


def test_the_server_module_needs_no_opencv() -> None:
    """The queue's own tests run it with --no-swap where the extra may be missing."""
    code = (
        "import sys, swapsandbox.server, swapsandbox.receiver; sys.exit('cv2' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0

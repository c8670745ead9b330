"""`swapjobs demo`: real faces in real photographs, through the real queue, in one terminal.

Starts Redis, the sandbox vendor, a worker and a webhook receiver on loopback, submits, waits, checks, and stops it all.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from swapjobs import FINAL, CoreSettings, Job, SwapClient, SwapRequest, tether
from swapsandbox.demo import contact_sheet
from swapsandbox.demo.interrupts import Interrupt, uninterrupted
from swapsandbox.demo.plan import PLANS, Finished, Plan, failed_checks
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port
from swapsandbox.processes.server_process import ServerFailed, receiver, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DEADLINE_S: Final = 80.0
_COLOURS: Final = {"succeeded": "green", "failed": "red", "running": "cyan", "waiting": "yellow"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 only if every check held."""
    parser = argparse.ArgumentParser(prog="swapjobs demo", description="Swap real faces through the whole queue.")
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output"), help="folder for pictures and contact sheet"
    )
    parser.add_argument(
        "--keep-open", action="store_true", help="let all of it run on, with the console open in it, until Ctrl-C"
    )
    options = parser.parse_args(arguments)
    output: Path = options.output
    console = Console(highlight=False)
    # SIGTERM unwinds like Ctrl-C, so that nothing is left running.
    interrupt = Interrupt()
    began = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            demo = _Demo(output, console, stack, interrupt)
            problems = demo.run()
            interrupt.check()
            for problem in problems:
                console.print(f"[red]not as it must be:[/] {problem}", soft_wrap=True)
            if not problems:
                console.print(f"[green]every check held[/] in {time.monotonic() - began:.0f} s")
                if options.keep_open:
                    demo.keep_open()
    except KeyboardInterrupt:
        console.print("\nstopped: nothing is left running")
        return 130
    except (ServerFailed, RuntimeError, TimeoutError) as error:
        console.print(f"[red]the demo could not run:[/] {error}", soft_wrap=True)
        return 1
    if not problems:
        _tell_how_to_go_on(console, output)
    return 1 if problems else 0


class _Demo:
    def __init__(self, output: Path, console: Console, stack: contextlib.ExitStack, interrupt: Interrupt) -> None:
        self.output = output
        self.interrupt = interrupt
        self.console = console
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swapjobs-demo-")))
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        faults = [f"{plan.fault},id=demo-{plan.key}" for plan in PLANS if plan.fault]
        console.print("starting Redis, the sandbox vendor, a webhook receiver and a worker on 127.0.0.1 ...")
        self.redis = stack.enter_context(EmbeddedRedis(folder / "redis"))
        self.vendor = stack.enter_context(sandbox(*(word for fault in faults for word in ("--fault", fault))))
        self.receiver = stack.enter_context(receiver("--secret", secret))
        self.log = folder / "worker.log"
        self._stack, self._folder, self._variables = stack, folder, self._environment(secret)
        stack.enter_context(_program(folder, self.log, self._variables, "worker"))
        self.client = stack.enter_context(SwapClient(CoreSettings(redis_url=self.redis.url)))
        self.http = stack.enter_context(httpx.Client(trust_env=False, timeout=10))

    def run(self) -> list[str]:
        pictures = self._copy_pictures()
        jobs = [self.client.submit(self._request(plan)) for plan in PLANS]
        jobs = self._watch(jobs)
        finished = [self._finish(plan, job) for plan, job in zip(PLANS, jobs, strict=True)]
        contact_sheet.write(self.output / "index.html", finished)
        self.console.print(_final_table(finished))
        events = self._get(f"{self.receiver.url}/_receiver/events")
        stats = self._get(f"{self.vendor.url}/_sandbox/stats")
        tasks = self._get(f"{self.vendor.url}/_sandbox/tasks")
        verified = sum(bool(event["verified"]) for event in events)
        self.console.print(
            f"the vendor saw {stats['calls']} calls, billed {stats['billed']}, {stats['duplicates']} of them twice;"
            f" the receiver verified {verified} of {len(events)} webhooks"
        )
        return list(failed_checks(finished, pictures, stats, tasks, events))

    def keep_open(self) -> None:
        """Open the console, and wait for Ctrl-C."""
        log = self._folder / "gateway.log"
        port = free_port()
        pictures = {"SWAPJOBS_CONSOLE_PICTURES": "true"}
        self._stack.enter_context(
            _program(self._folder, log, self._variables | pictures, "gateway", "--port", str(port))
        )
        until = time.monotonic() + _DEADLINE_S
        while "gateway ready" not in log.read_text(encoding="utf-8", errors="replace"):
            self.interrupt.check()
            if time.monotonic() > until:
                raise TimeoutError("the gateway did not become ready")
            time.sleep(0.1)
        self.console.print(
            f"the console is open:   http://127.0.0.1:{port}/console/\nsubmit to the same queue:"
            f"  SWAPJOBS_REDIS_URL={self.redis.url} swapjobs submit {self.vendor.url}/pictures/collins.png"
            f" {self.vendor.url}/pictures/hopper.jpg\nCtrl-C ends all of it",
            soft_wrap=True,
        )
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                self.interrupt.check()
                time.sleep(0.5)

    def _environment(self, secret: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SWAPJOBS_")}  # noqa: TID251 - for a child
        return {
            **inherited,
            "SWAPJOBS_REDIS_URL": self.redis.url,
            "SWAPJOBS_API_URL": self.vendor.url,
            "SWAPJOBS_API_KEY_ID": "demo",
            "SWAPJOBS_API_KEY_SECRET": secrets.token_hex(16),
            "SWAPJOBS_WEBHOOK_SECRETS": secret,
            "SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "SWAPJOBS_CONCURRENCY": "4",
        }

    def _copy_pictures(self) -> dict[str, bytes]:
        shutil.rmtree(self.output, ignore_errors=True)
        self.output.mkdir(parents=True)
        names = {name for plan in PLANS for name in (*plan.sources, plan.target)}
        shelf = resources.files("swapsandbox").joinpath("pictures")
        pictures = {name: shelf.joinpath(name).read_bytes() for name in sorted(names)}
        for name, data in pictures.items():
            (self.output / name).write_bytes(data)
        return pictures

    def _request(self, plan: Plan) -> SwapRequest:
        urls = [f"{self.vendor.url}/pictures/{name}" for name in (*plan.sources, plan.target)]
        second = {"second_source_url": urls[1]} if len(plan.sources) > 1 else {}
        return SwapRequest.parse(
            {
                "source_url": urls[0],
                "target_url": urls[-1],
                "business_task_id": f"demo-{plan.key}",
                "tool": plan.tool,
                "callback_url": f"{self.receiver.url}/hooks/swapjobs",
                **plan.fields,
                **second,
            }
        )

    def _watch(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs once all are final and their webhooks delivered."""
        until = time.monotonic() + _DEADLINE_S
        with Live(console=self.console, refresh_per_second=8, transient=True) as live:
            while not all(job.state in FINAL and job.webhook and job.webhook.state == "delivered" for job in jobs):
                self.interrupt.check()
                if time.monotonic() > until:
                    tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
                    raise TimeoutError(f"not done after {_DEADLINE_S:g} s; the worker's log ends so:\n{tail}")
                time.sleep(0.1)
                jobs = [self.client.get(job.id) for job in jobs]
                live.update(_progress_table(jobs))
        return jobs

    def _finish(self, plan: Plan, job: Job) -> Finished:
        if job.output_url is None:
            return Finished(plan, job, None, None)
        answer = self.http.get(job.output_url).raise_for_status()
        suffix = ".png" if answer.headers["content-type"] == "image/png" else ".jpg"
        name = f"result-{plan.key}{suffix}"
        (self.output / name).write_bytes(answer.content)
        return Finished(plan, job, name, answer.content)

    def _get(self, url: str) -> Any:
        return self.http.get(url).raise_for_status().json()


@contextlib.contextmanager
def _program(folder: Path, log: Path, environment: dict[str, str], *arguments: str) -> Iterator[None]:
    """Run `swapjobs` with these arguments, as a user would, until the block ends."""
    command = [sys.executable, "-m", "swapjobs", *arguments]
    with log.open("wb") as file:
        process: subprocess.Popen[bytes] | None = None
        try:
            with uninterrupted():
                # Its own session: at a Ctrl-C it is stopped below, by us, and not twice.
                process = tether.start(
                    command, cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True
                )
            yield
        finally:
            if process is not None:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _state(job: Job) -> str:
    colour = _COLOURS.get(job.state, "white")
    return f"[{colour}]{job.state}[/]" + (f" [dim]{job.reason}[/]" if job.reason else "")


def _progress_table(jobs: Sequence[Job]) -> Table:
    table = Table("job", "state", "failed attempts", "webhook", box=None)
    for job in jobs:
        table.add_row(
            job.business_task_id, _state(job), str(job.failed_attempts), job.webhook.state if job.webhook else ""
        )
    return table


def _final_table(finished: Sequence[Finished]) -> Table:
    table = Table("job", "state", "failed attempts", "queued", "then", "webhook", box=None, pad_edge=False)
    for item in finished:
        job = item.job
        state = f"{_state(job)} [dim]{job.error.code}[/]" if job.error else _state(job)
        hook = f"{job.webhook.state}" if job.webhook else ""
        times = f"{item.queued_s:.1f} s", f"{item.worked_s:.1f} s"
        table.add_row(item.plan.key, state, str(job.failed_attempts), *times, hook)
    return table


def _tell_how_to_go_on(console: Console, output: Path) -> None:
    python = (
        Path(os.path.relpath(sys.executable)) if Path(sys.executable).is_relative_to(Path.cwd()) else sys.executable
    )
    swapjobs = "swapjobs" if shutil.which("swapjobs") else Path(python).with_name("swapjobs")
    samples = "http://127.0.0.1:8790/pictures"
    console.print(
        f"""
look at the pictures:  {output / "index.html"}
look at the jobs:      {swapjobs} demo --keep-open
go on, each line in a terminal of its own:
  {python} -m swapsandbox.processes.redis_server                 a Redis on 127.0.0.1:6379, unless you have one
  {swapjobs} sandbox                                   a vendor for rehearsals, on 127.0.0.1:8790
  SWAPJOBS_API_URL=http://127.0.0.1:8790 {swapjobs} worker
  {swapjobs} flower                                    the dashboard, on 127.0.0.1:5555
  {swapjobs} submit --wait {samples}/collins.png {samples}/hopper.jpg
  {swapjobs} doctor                                    is everything as it should be?""",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())

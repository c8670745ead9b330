"""The report of a batch: one HTML page that needs nothing but itself, written as a stream.

What a job carries is hostile: ids, metadata, messages and URLs come from callers and from the vendor. So jobs stand in
the page as JSON with every `<` escaped, in elements that no browser runs, and the page's script shows them by
`textContent` alone. The Content-Security-Policy lets nothing run but that script, and nothing load but pictures.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.lifecycle import FINAL
from swapjobs.report import charts
from swapjobs.report.charts import duration
from swapjobs.report.figures import STATES, Figures
from swapjobs.report.rows import row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from swapjobs.client.swap_client import SwapClient
    from swapjobs.contract.batch import Batch
    from swapjobs.contract.job import Job

_BLOCK: Final = 500  # jobs in one JSON text, so that memory stays constant here and no text is huge in the browser
_PAGE: Final = 200


def report(
    batch: Batch, jobs: Iterable[Job], *, pictures: bool = True, made_at: datetime | None = None
) -> Iterator[str]:
    """Yield the page piece by piece; `jobs` is gone through once and never held.

    Args:
        batch: As it stands now; its counts are the headline.
        jobs: Its jobs, in the order in which they are to be listed.
        pictures: Show thumbnails. For that the pictures' whole URLs stand in the page, with the signed query strings
            that may be in them, and a browser fetches them. Without, there are no query strings and nothing is fetched.
        made_at: The time that the page names as its own; now by default.
    """
    counted = Figures()
    yield _head(batch, made_at or datetime.now(UTC), pictures=pictures)
    source = iter(jobs)
    while block := list(islice(source, _BLOCK)):
        rows = []
        for job in block:
            counted.add(job)
            rows.append(row_of(job, pictures=pictures))
        yield f'<script type="application/json" class="data">{_json(rows)}</script>\n'
    yield from (_tiles(batch, counted), _failures(batch), _times(counted), _list(batch, counted, pictures=pictures))
    yield f"</main><script>{_asset('js')}</script></body></html>\n"


def jobs_of(client: SwapClient, batch_id: str, *, tenant: str = "default") -> Iterator[Job]:
    """Yield the jobs of a batch that still have records, page by page.

    Raises:
        QueueUnavailable: Redis cannot be reached.
    """
    cursor = None
    while True:
        page = client.list(tenant=tenant, batch_id=batch_id, cursor=cursor, limit=_PAGE)
        yield from page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return


def content_security_policy(*, pictures: bool = True, insecure: bool = True) -> str:
    """Return the page's policy, also for an HTTP header.

    Args:
        pictures: As in `report`.
        insecure: Pictures may come over http too: many are there, but a page that itself came over https needs none.
    """
    sources = ("https: http:" if insecure else "https:") if pictures else "'none'"
    return (
        f"default-src 'none'; img-src {sources}; style-src {_digest('css')};"
        f" script-src {_digest('js')}; base-uri 'none'; form-action 'none'"
    )


def _head(batch: Batch, made_at: datetime, *, pictures: bool) -> str:
    times = (("opened", batch.created_at), ("closed", batch.closed_at), ("completed", batch.completed_at))
    facts = [f"tenant <b>{escape(batch.tenant)}</b>", f"round {batch.round}" if batch.round > 1 else ""]
    facts += [f"{name} {_time(at)}" for name, at in times if at] + [f"report of {_time(made_at)}"]
    result = "".join(f"<li>{fact}</li>" for fact in facts if fact)
    state = f"{batch.state}{', paused' if batch.paused else ''}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(content_security_policy(pictures=pictures))}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">
<title>Batch {escape(batch.id)}</title><style>{_asset("css")}</style></head>
<body><a class="skip" href="#list">to the list of jobs</a><main data-pictures="{int(pictures)}">
<header><h1><span class="dim">Batch</span> {escape(batch.id)} <span class="pill {batch.state}">{state}</span></h1>
<ul class="facts">{result}</ul></header>
"""


def _tiles(batch: Batch, counted: Figures) -> str:
    counts = batch.counts
    final = sum(counts.get(state, 0) for state in FINAL)
    done = counts.get(STATES[0], 0)
    failed = sum(counts.get(state, 0) for state in FINAL) - done
    seconds = counted.seconds
    rate = f"{counted.finished / seconds:.3g}/s" if seconds else "?"
    end = f"expected {_time(batch.estimated_end)}" if batch.estimated_end and final < batch.total else ""
    tiles = [
        ("jobs", f"{batch.total:,}", f"{final:,} finished" if final < batch.total else "all finished"),
        ("succeeded", _percent(done, batch.total), f"{done:,} jobs"),
        ("without result", _percent(failed, batch.total), f"{failed:,} failed, expired or cancelled"),
        ("first to last", duration(seconds), end or "first created to last finished"),
        ("throughput", rate, "finished, on average"),
        ("queued", duration(counted.queued.quantile(0.5)), "median until the first call"),
        ("worked", duration(counted.worked.quantile(0.5)), "median from first call to end"),
    ]
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>" for name, value, note in tiles)
    legend = "".join(
        f'<li><i class="dot {state.value}"></i>{state.value} <b>{counts[state]:,}</b></li>'
        for state in STATES
        if counts.get(state)
    )
    return (
        f'<section aria-label="Figures"><dl class="tiles">{shown}</dl>'
        f'{charts.state_bar(counts)}<ul class="legend">{legend}</ul></section>\n'
    )


def _failures(batch: Batch) -> str:
    highest = max(batch.errors.values(), default=0)
    rows = "".join(
        f'<tr><th scope="row"><button type="button" class="code" data-code="{code.value}">{code.value}</button></th>'
        f"<td>{charts.share_bar(count, highest)}</td><td>{count:,}</td></tr>"
        for code, count in sorted(batch.errors.items(), key=lambda item: -item[1])
    )
    body = (
        '<table class="codes"><caption class="unseen">Failed and expired jobs by error code</caption>'
        '<thead class="unseen"><tr><th scope="col">code</th><th scope="col">share</th><th scope="col">jobs</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
        if rows
        else '<p class="none">No job failed.</p>'
    )
    return f'<div class="panels"><section class="card"><h2>Failures by code</h2>{body}</section>\n'


def _times(counted: Figures) -> str:
    return (
        f'<section class="card"><h2>Finished over time</h2>{charts.timeline(counted.timeline)}</section>'
        f'<section class="card wide"><h2>How long it took</h2>{charts.histogram(counted.queued, counted.worked)}'
        "</section></div>\n"
    )


def _list(batch: Batch, counted: Figures, *, pictures: bool) -> str:
    held = counted.states.total()
    missing = (
        f'<p class="note">{batch.total - held:,} of {batch.total:,} jobs are not listed: their records have'
        " expired.</p>"
        if held < batch.total
        else ""
    )
    states = "".join(f"<option>{state.value}</option>" for state in STATES if counted.states[state])
    codes = "".join(f"<option>{code.value}</option>" for code in sorted(batch.errors))
    toggle = '<label class="check"><input type="checkbox" id="pictures" checked> pictures</label>' if pictures else ""
    said = (
        "Pictures are loaded from where they lie, by their whole URLs: who has this page has these too."
        if pictures
        else "Made without pictures: URLs have no query strings here, and nothing is loaded."
    )
    return f"""<section id="list" aria-labelledby="jobs"><h2 id="jobs">Jobs</h2>{missing}
<form class="filters" role="search">
<label>search <input type="search" id="search" placeholder="id, URL, message"></label>
<label>state <select id="state"><option value="">all</option>{states}</select></label>
<label>error <select id="code"><option value="">all</option>{codes}</select></label>
<label>order <select id="order"><option value="">as listed</option><option value="slow">longest worked</option>
<option value="queued">longest queued</option><option value="tries">most failed attempts</option></select></label>
{toggle}</form>
<noscript><p class="note">The list needs JavaScript; the figures above do not.</p></noscript>
<div class="pager"><span id="shown" role="status"></span><span><button type="button" data-step="-1">previous</button>
<button type="button" data-step="1">next</button></span></div>
<table class="jobs" role="table"><caption class="unseen">Jobs of the batch</caption>
<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Source, target, result</th>
<th role="columnheader" scope="col">Job</th><th role="columnheader" scope="col">State</th>
<th role="columnheader" scope="col">Times (UTC)</th></tr></thead><tbody role="rowgroup" id="rows"></tbody></table>
<div class="pager"><span></span><span><button type="button" data-step="-1">previous</button>
<button type="button" data-step="1">next</button></span></div>
</section><footer>{said} Swapped faces are synthetic pictures of real people: label them as such.</footer>
"""


def _json(value: Any) -> str:
    """Return JSON that ends no element and begins no comment, whatever is in it."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _time(at: datetime) -> str:
    return f'<time datetime="{at.astimezone(UTC).isoformat()}">{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC</time>'


def _percent(part: int, whole: int) -> str:
    if not whole or part in {0, whole}:
        return "100 %" if part else "0 %"
    return f"{min(max(100 * part / whole, 0.1), 99.9):.1f} %"  # never 100 % while there is one that is not


@cache
def _asset(kind: str) -> str:
    return (files("swapjobs.report") / f"report.{kind}").read_text(encoding="utf-8")


@cache
def _digest(kind: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(_asset(kind).encode()).digest()).decode()}'"

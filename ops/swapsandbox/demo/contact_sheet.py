"""The demo's contact sheet: source, target and result side by side, as one HTML page beside its pictures."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swapsandbox.demo.plan import Finished

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.05rem; margin: 0 0 .5rem; }
section { border: 1px solid #8884; border-radius: 10px; padding: 1rem; margin: 1rem 0; }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 1rem; }
figure { margin: 0; min-width: 0; } figcaption { font-size: .85rem; opacity: .75; text-align: center; }
img, .failed { display: block; width: 100%; height: 240px; object-fit: contain; border-radius: 6px; background: #8882; }
.failed { display: grid; place-items: center; text-align: center; border: 1px dashed #c55; color: #c55;
  padding: 1rem; box-sizing: border-box; overflow-wrap: anywhere; }
@media (max-width: 640px) { .row { grid-auto-flow: row; } }
dl { display: flex; gap: .25rem 1.5rem; flex-wrap: wrap; margin: .75rem 0 0; font-size: .9rem; }
dl div { display: flex; gap: .4rem; } dt { opacity: .7; } dd { margin: 0; }
code { font-size: .85em; }
"""


def write(path: Path, finished: Sequence[Finished]) -> None:
    """Write the page to `path`; it refers to pictures by name, in the same folder."""
    sections = "\n".join(_section(item) for item in finished)
    path.write_text(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>swapjobs demo</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>
<body><h1>swapjobs demo: {len(finished)} jobs through the queue</h1>
<p>The results are <strong>synthetic</strong>: made by the local sandbox, not by the people shown. A source gives the
face, the target receives it. The portraits are in the public domain (Eileen Collins, NASA; Grace Hopper, US Navy). No
endorsement is implied.</p>
{sections}
</body></html>
""",
        encoding="utf-8",
    )


def _section(item: Finished) -> str:
    job = item.job
    result = (
        _picture(item.result, "result (synthetic)")
        if item.result
        else f'<figure><div class="failed">{escape(_why(item))}</div><figcaption>no result</figcaption></figure>'
    )
    sources = "".join(_picture(name, "source") for name in item.plan.sources)
    facts = {
        "tool": job.tool,
        "state": job.state.value,
        "failed attempts": job.failed_attempts,
        "queued": f"{item.queued_s:.2f} s",
        "from first call to end": f"{item.worked_s:.2f} s",
        "webhook": f"{job.webhook.state}, HTTP {job.webhook.last_status}" if job.webhook else "none",
        "job": f"<code>{escape(job.id)}</code>",
    }
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    return (
        f'<section><h2>{escape(item.plan.title)}</h2><div class="row">{sources}'
        f"{_picture(item.plan.target, 'target')}{result}</div><dl>{listed}</dl></section>"
    )


def _picture(name: str, caption: str) -> str:
    stem = name.rpartition(".")[0]
    return f'<figure><img src="{escape(name)}" alt="{escape(stem)}"><figcaption>{escape(caption)}</figcaption></figure>'


def _why(item: Finished) -> str:
    error = item.job.error
    return f"{error.code}: {error.message}" if error else item.job.state.value

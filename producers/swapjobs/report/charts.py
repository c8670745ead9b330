"""The charts of a batch report, drawn as SVG that needs no script."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final

from swapjobs.report.figures import BOUNDS, STATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swapjobs.contract.lifecycle import JobState
    from swapjobs.report.figures import Durations, Timeline

_SHOWN_BOUNDS: Final = 6  # at least: one bar says little


def duration(seconds: float | None) -> str:
    """Return a time span as people write it: 0.42 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return "?"
    if seconds < 10:  # noqa: PLR2004 - from there on digits behind the point say nothing
        return f"{max(seconds, 0):.2g} s" if seconds >= 0.01 else "0.01 s"  # noqa: PLR2004 - see above
    whole = round(seconds)
    for size, unit, below, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def state_bar(counts: Mapping[JobState, int]) -> str:
    """Return one bar, divided by state."""
    total = sum(counts.values()) or 1
    parts, x = [], 0.0
    for state in STATES:
        width = 1000 * counts.get(state, 0) / total
        if width:
            title = f"{counts[state]:,} {state.value}"
            parts.append(
                f'<rect class="{state.value}" x="{x:.2f}" width="{width:.2f}" height="10">{_title(title)}</rect>'
            )
        x += width
    listed = ", ".join(f"{counts[state]:,} {state.value}" for state in STATES if counts.get(state))
    return _svg("statebar", 1000, 10, f"Jobs by state: {listed or 'none'}", parts)


def share_bar(count: int, total: int) -> str:
    """Return a bar as long as `count` is in comparison with `total`."""
    width = 100 * count / (total or 1)
    return (
        '<svg class="share" aria-hidden="true" viewBox="0 0 100 10" preserveAspectRatio="none">'
        f'<rect width="100" height="10" class="track"/><rect class="failed" width="{width:.2f}" height="10"/></svg>'
    )


def histogram(queued: Durations, worked: Durations) -> str:
    """Return two histograms with one axis: how long jobs were queued, and how long they were worked on."""
    used = [n for n, pair in enumerate(zip(queued.coarse, worked.coarse, strict=True)) if any(pair)]
    if not used:
        return '<p class="none">No job has begun yet.</p>'
    first, last = used[0], used[-1]
    last = min(max(last, first + _SHOWN_BOUNDS - 1), len(BOUNDS))
    first = max(0, min(first, last - _SHOWN_BOUNDS + 1))
    names = [f"≤ {duration(bound)}" for bound in BOUNDS] + [f"> {duration(BOUNDS[-1])}"]
    shown, names = range(first, last + 1), names[first : last + 1]
    charts = "".join(
        f'<h3>{title}</h3><p class="note">half of them within {duration(spans.quantile(0.5))}, 95 % within'
        f" {duration(spans.quantile(0.95))}</p>"
        + _bars(f"{title}: histogram", [spans.coarse[n] for n in shown], names, style)
        for title, spans, style in (("Queued", queued, "queued"), ("First call to end", worked, "running"))
    )
    axis = "".join(f"<span>{escape(name)}</span>" for name in names)
    rows = [(name, f"{queued.coarse[n]:,}", f"{worked.coarse[n]:,}") for n, name in zip(shown, names, strict=True)]
    return (
        f'{charts}<div class="axis cells" aria-hidden="true">{axis}</div>'
        f"{_as_table(('time', 'queued', 'first call to end'), rows)}"
    )


def timeline(line: Timeline) -> str:
    """Return how many jobs finished when, by state, as stacked bars."""
    bars = line.bars()
    if not bars:
        return '<p class="none">No job is finished yet.</p>'
    highest = max(counts.total() for _, counts in bars)
    parts = []
    for number, (begin, counts) in enumerate(bars):
        y = 100.0
        for state in STATES:
            height = 100 * counts[state] / highest
            if height:
                y -= height
                title = _title(f"{begin:%H:%M:%S}: {counts[state]:,} {state.value}")
                box = f'x="{number + 0.06:.2f}" y="{y:.2f}" width="0.88" height="{height:.2f}"'
                parts.append(f'<rect class="{state.value}" {box}>{title}</rect>')
    begin, end = bars[0][0], datetime.fromtimestamp(bars[-1][0].timestamp() + line.width_s, UTC)
    label = f"Jobs finished over time, {begin:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC"
    pattern = "%H:%M:%S" if begin.date() == end.date() else "%b %d %H:%M"
    rows = [
        (f"{at:%Y-%m-%d %H:%M:%S}", *(f"{counts[state]:,}" for state in STATES[:4])) for at, counts in bars if counts
    ]
    return (
        f'<p class="note">one bar is {duration(line.width_s)}; the highest is {highest:,} jobs</p>'
        f"{_svg('plot tall', len(bars), 100, label, parts)}"
        f'<div class="axis" aria-hidden="true"><span>{begin:{pattern}}</span><span>{end:{pattern}}</span></div>'
        f"{_as_table(('from (UTC)', *(state.value for state in STATES[:4])), rows)}"
    )


def _bars(label: str, counts: Sequence[int], names: Sequence[str], style: str) -> str:
    highest = max(counts) or 1
    parts = []
    for number, (count, name) in enumerate(zip(counts, names, strict=True)):
        height = max(100 * count / highest, 1.5) if count else 0  # a single job among thousands is still seen
        box = f'x="{number + 0.06:.2f}" y="{100 - height:.2f}" width="0.88" height="{height:.2f}"'
        parts.append(f'<rect class="{style}" {box}>{_title(f"{name}: {count:,} jobs")}</rect>')
    return _svg("plot", len(counts), 100, label, parts)


def _svg(style: str, width: int, height: int, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="{style}" role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}"'
        f' preserveAspectRatio="none">{"".join(parts)}</svg>'
    )


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _as_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the same figures for those who can't see the bars, or want to copy them."""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<details><summary>as a table</summary><div class='scroll'><table class='plain'><thead><tr>{names}</tr>"
        f"</thead><tbody>{body}</tbody></table></div></details>"
    )

"""The charts of the overview: bars of time, drawn as SVG that needs neither script nor style."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from swapjobs.contract.trend import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swapjobs.gateway.console.texts import Texts

OUTCOMES: Final = ("succeeded", "failed", "expired", "cancelled")
_HEIGHT: Final = 100
_LOWEST: Final = 1.5  # so that a single job among thousands is seen


@dataclass(frozen=True, slots=True)
class Sums:
    """What happened in some slots, added up.

    Attributes:
        outcomes: succeeded, failed, expired, cancelled -> jobs.
        codes: Error code -> jobs that failed with it.
        submitted: Jobs that were accepted.
        calls: Calls to the vendor.
        billed: Tool -> swaps that the vendor did.
    """

    outcomes: Mapping[str, int]
    codes: Mapping[str, int]
    submitted: int
    calls: int
    billed: Mapping[str, int]

    @property
    def ended(self) -> int:
        """Jobs that ended."""
        return sum(self.outcomes.values())

    def cost(self, prices: Mapping[str, float]) -> float:
        """Return what the swaps cost whose price is known."""
        return sum(prices.get(tool, 0) * number for tool, number in self.billed.items())


def sums_of(slots: Sequence[Slot]) -> Sums:
    """Add slots up."""
    outcomes, codes, billed, others = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for slot in slots:
        for what, number in slot.counts.items():
            name, _, detail = what.partition(" ")
            others[name] += number
            if name in OUTCOMES:
                outcomes[name] += number
                if detail:
                    codes[detail] += number
            elif name == "billed":
                billed[detail] += number
    ordered = {name: outcomes[name] for name in OUTCOMES if outcomes[name]}
    return Sums(ordered, dict(codes.most_common()), others["submitted"], others["calls"], dict(billed))


def bars(slots: Sequence[Slot], t: Texts, label: str) -> Markup:
    """Return how many jobs ended in each slot, by outcome, as stacked bars."""
    sums = [sums_of([slot]) for slot in slots]
    highest = max((item.ended for item in sums), default=0) or 1
    parts = []
    for place, (slot, item) in enumerate(zip(slots, sums, strict=True)):
        y = float(_HEIGHT)
        shown = [f"{slot.at:%Y-%m-%d %H:%M} UTC"]
        rects = []
        for name in OUTCOMES:
            number = item.outcomes.get(name, 0)
            if number:
                height = max(_HEIGHT * number / highest, _LOWEST)
                y -= height
                rects.append(_rect(name, place + 0.08, max(y, 0), 0.84, height))
                shown.append(f"{t('outcome.' + name)} {number:,}")
        if rects:
            parts.append(Markup("<g><title>{}</title>{}</g>").format(": ".join(shown), Markup("").join(rects)))
    return Markup(
        '<svg class="plot" role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">{}</svg>'
    ).format(label, len(slots), _HEIGHT, Markup("").join(parts))


def meter(share: float, style: str, label: str) -> Markup:
    """Return a bar that is filled to this share."""
    width = 100 * min(max(share, 0), 1)
    return Markup(
        '<svg class="meter" role="img" aria-label="{}" viewBox="0 0 100 10" preserveAspectRatio="none">'
        '<rect class="track" width="100" height="10"></rect><rect class="{}" width="{:.2f}" height="10"></rect></svg>'
    ).format(label, style, width)


def divided(counts: Mapping[str, int], order: Sequence[str], label: str) -> Markup:
    """Return one bar, divided by what is counted."""
    total, x, parts = sum(counts.values()) or 1, 0.0, []
    for name in order:
        width = 1000 * counts.get(name, 0) / total
        if width:
            parts.append(_rect(name, x, 0, width, 10))
        x += width
    return Markup(
        '<svg class="divided" role="img" aria-label="{}" viewBox="0 0 1000 10" preserveAspectRatio="none">{}</svg>'
    ).format(label, Markup("").join(parts))


def _rect(style: str, x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"></rect>').format(
        style, x, y, width, height
    )

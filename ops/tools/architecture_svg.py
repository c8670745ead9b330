"""Draws docs/architecture-light.svg and -dark.svg: python ops/tools/architecture_svg.py."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

ROOT: Final = Path(__file__).parents[2]
WIDTH, HEIGHT = 1105, 440
THEMES: Final = {
    "light": {"text": "#1f2328", "soft": "#59636e", "line": "#8c959f", "box": "#ffffff", "group": "#f6f8fa"},
    "dark": {"text": "#e6edf3", "soft": "#9198a1", "line": "#6e7681", "box": "#161b22", "group": "#0d1117"},
}
ACCENT: Final = {"light": "#0969da", "dark": "#4493f8"}


class Drawing:
    """An SVG in the colours of one theme."""

    def __init__(self, theme: str) -> None:
        self._colours = THEMES[theme] | {"accent": ACCENT[theme]}
        self._parts: list[str] = []

    def group(self, x: int, y: int, width: int, height: int, title: str) -> None:
        """Draw a part of the system: a frame with its title above."""
        fill, line = self._colours["group"], self._colours["line"]
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="10" fill="{fill}" stroke="{line}"/>'
        )
        self.text(x + width / 2, y - 10, title, weight="600")

    def box(self, x: int, y: int, width: int, name: str, meaning: str = "") -> None:
        """Draw a thing with its name and what it means, 46 high."""
        fill, line = self._colours["box"], self._colours["line"]
        self._parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="46" rx="6" fill="{fill}" stroke="{line}"/>')
        self.text(x + width / 2, y + (20 if meaning else 28), name, weight="600")
        if meaning:
            self.text(x + width / 2, y + 37, meaning, colour="soft", size=11.5)

    def text(
        self, x: float, y: float, text: str, *, colour: str = "text", size: float = 13, weight: str = "400"
    ) -> None:
        """Write a line, centred."""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" fill="{self._colours[colour]}" font-size="{size:g}" font-weight="{weight}" '
            f'text-anchor="middle">{escape(text)}</text>'
        )

    def arrow(self, points: str, label: str = "", at: tuple[int, int] = (0, 0), *, both: bool = False) -> None:
        """Draw an arrow along the points, with its label at a place."""
        start = ' marker-start="url(#head)"' if both else ""
        self._parts.append(
            f'<polyline points="{points}" fill="none" stroke="{self._colours["accent"]}" stroke-width="1.6" '
            f'marker-end="url(#head)"{start}/>'
        )
        if label:
            self.text(*at, label, colour="accent", size=12)

    def __str__(self) -> str:
        accent = self._colours["accent"]
        head = f'<path d="M0,0 L8,4 L0,8 z" fill="{accent}"/>'
        place = 'markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto-start-reverse"'
        marker = f'<marker id="head" {place}>{head}</marker>'
        return "\n".join(
            [
                (
                    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
                    'font-family="-apple-system, Segoe UI, Helvetica, Arial, sans-serif">'
                ),
                "<title>swapjobs: producers, Redis, workers, vendor and receivers</title>",
                f"<defs>{marker}</defs>",
                *self._parts,
                "</svg>\n",
            ]
        )


def draw(theme: str) -> str:
    """Return the picture."""
    d = Drawing(theme)
    d.group(15, 40, 170, 235, "producers")
    d.box(30, 60, 140, "SwapClient", "Python")
    d.box(30, 130, 140, "gateway", "HTTP, any language")
    d.box(30, 200, 140, "command line", "files of any length")

    d.group(300, 40, 240, 375, "Redis")
    d.box(315, 60, 210, "job records", "the truth")
    d.box(315, 130, 210, "queues", "by tenant and lane: the backlog")
    d.box(315, 200, 210, "ready queue", "messages for about two seconds")
    d.box(315, 270, 210, "schedule", "what is due, and when")
    d.box(315, 340, 210, "state of the fleet", "rate, in flight, breaker")

    d.group(730, 40, 170, 375, "workers (Celery)")
    d.box(745, 60, 140, "swap task", "claim, call, record")
    d.box(745, 200, 140, "dispatcher", "in every worker")
    d.box(745, 340, 140, "deliver task", "claim, sign, send")

    d.box(980, 60, 110, "vendor API")
    d.box(980, 340, 110, "your webhook")
    d.box(30, 340, 140, "Flower, doctor", "metrics")

    d.arrow("170,83 313,83", "submit", (242, 76))
    d.arrow("170,153 240,153 240,93 313,93")
    d.arrow("170,223 255,223 255,103 313,103")
    d.arrow("420,108 420,128")
    d.arrow("420,178 420,198")
    d.arrow("743,72 527,72", "record the outcome", (634, 65))
    d.arrow("525,215 570,215 570,84 743,84", "pop", (600, 208))
    d.arrow("525,353 640,353 640,96 743,96", "claim", (600, 346), both=True)
    d.arrow("745,223 700,223 700,285 527,285", "what is due", (600, 278), both=True)
    d.arrow("745,375 542,375", "pop, claim, record", (634, 392), both=True)
    d.arrow("885,83 978,83", "swap", (931, 76))
    d.arrow("885,363 978,363", "signed", (931, 356))
    d.arrow("170,363 298,363", "ask", (236, 356))
    return str(d)


def generated() -> dict[str, str]:
    """Return the pictures by their path from the root."""
    return {f"docs/architecture-{theme}.svg": draw(theme) for theme in THEMES}


if __name__ == "__main__":
    for path, text in generated().items():
        (ROOT / path).write_text(text, encoding="utf-8")

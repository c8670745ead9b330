"""The table of operations, for the engine's worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from swapsandbox.operations import describing, drawing, faces, processing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swapsandbox.operations.made import Made, Options

OPERATIONS: Final[Mapping[str, Callable[[Sequence[bytes], Options], Made]]] = {
    "swap": faces.swap,
    "detect": faces.detect,
    "portrait": faces.portrait,
    "draw": drawing.draw,
    "redraw": drawing.redraw,
    "outpaint": processing.outpaint,
    "preprocess": processing.preprocess,
    "restore": processing.restore,
    "enlarge": processing.enlarge,
    "cut_out": processing.cut_out,
    "echo": processing.echo,
    "describe": describing.describe,
    "style": describing.style,
    "expand": describing.expand,
}

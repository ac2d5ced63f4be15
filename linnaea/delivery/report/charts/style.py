"""Charts as inline SVG that takes its ink from the page, so that light, dark and paper all work.

matplotlib knows no CSS variables: each ink is drawn in a stand-in colour, replaced once the SVG is text.
"""

import io
import re
import warnings
from html import escape
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, ACCENT, RULE, PAPER = "#010203", "#020304", "#030405", "#040506", "#050607"
COLOURS = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    ACCENT: "var(--accent)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "linnaea",
    "font.size": 11,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 1,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.8,
}
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
STEPS = (1, 2, 2.5, 5, 10)
LINE = 17.0  # pixels between two names


def as_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an <svg> element for HTML: no prolog, its own ids, the page's colours and font."""
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The reader's own fonts draw the text: it does not matter what matplotlib's can show.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        FigureCanvasSVG(figure)
        figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    text = buffer.getvalue()
    text = re.sub(r"<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for stand_in, colour in COLOURS.items():
        text = text.replace(stand_in, colour)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r"'DejaVu Sans'[^\";]*", "inherit", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    width, height = (72 * inches for inches in figure.get_size_inches())
    opening = f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}"'
    return f'{opening} style="max-width: {1.25 * width:.0f}px">' + text[text.index(">") + 1 :]

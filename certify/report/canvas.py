"""One drawing style, and figures as inline SVG whose bytes depend on what is drawn alone."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from certify.report.formats import number, power_of_ten

# Okabe and Ito's palette: told apart by readers with any common colour vision. Each tier has its marker as well.
TIER_FILL = {"proved": "#009e73", "enclosed": "#56b4e9", "resolved": "#e69f00", "sampled": "#cc79a7"}
TIER_EDGE = {"proved": "#00563f", "enclosed": "#0b5c8f", "resolved": "#8a5a00", "sampled": "#853560"}
TIER_MARKER = {"proved": "s", "enclosed": "D", "resolved": "o", "sampled": "^"}
REFERENCE, SHIPPED, LOST, GAINED = "#0072b2", "#d55e00", "#b00020", "#00563f"
INK, MUTED, FAINT = "#1c2430", "#5b6675", "#d9dee5"
WIDTH = 5.2

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 1.1,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its SVG, the caption under it and, when it stands in a set, a heading."""

    svg: Markup
    caption: str
    heading: str = ""


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's own style, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, in inches."""
    made = Figure(figsize=(width, height))
    FigureCanvasSVG(made)
    return made


def axes(canvas: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """Axes with the given margins in inches."""
    width, height = canvas.get_size_inches()
    return canvas.add_axes((left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height))


def svg(canvas: Figure, key: str, alt: str) -> Markup:
    """The figure as an <svg> element for an HTML page.

    key : unique within the page; salts the ids, so that no two figures share one.
    alt : what the figure shows, for readers who do not see it.
    """
    buffer = io.StringIO()
    matplotlib.rcParams["svg.hashsalt"] = key
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    body = buffer.getvalue()
    body = body[body.index("<svg") :]
    # Matplotlib's <style> would apply to the whole page, its group ids repeat in every figure, its comments repeat texts.
    body = re.sub(r"<(style|metadata)\b.*?</\1>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r"\n\s*", "\n", body).replace("<defs>\n</defs>\n", "")
    box = re.search(r'viewBox="([^"]*)"', body)
    head = f'<svg class="plot" role="img" aria-label="{escape(alt)}" viewBox="{box[1] if box else ""}"'
    return Markup(head + body[body.index(">") :].strip())


def log_tick(value: float, _position: int = 0) -> str:
    """Label of a tick on a log axis."""
    exponent = round(math.log10(value))
    return power_of_ten(exponent) if not -4 < exponent < 5 else number(10.0**exponent, 1)

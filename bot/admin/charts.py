"""Charts as numbers for an SVG: bars in a box, without any style of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.operations import HOURS, Chart

WIDTH, HEIGHT = 480, 96
GAP = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """Of one hour, in units of the box; `told` is for people."""

    x: float
    y: float
    width: float
    height: float
    told: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart, ready to be put into a page."""

    title: str
    summary: str
    bars: tuple[Bar, ...]
    most: str
    begins: str
    ends: str
    width: int = WIDTH
    height: int = HEIGHT


def drawn(chart: Chart) -> Drawn:
    """The highest bar fills the box; an hour with nothing has none."""
    most = max(chart.values) or 1.0
    step = WIDTH / HOURS
    bars = []
    for index, value in enumerate(chart.values):
        height = round(value / most * (HEIGHT - 8), 1)
        hour = chart.first + timedelta(hours=index)
        told = f"{hour:%H}:00: {_told(value, chart.unit)}"
        x, width = round(index * step + GAP / 2, 1), round(step - GAP, 1)
        bars.append(Bar(x, HEIGHT - height, width, height, told))
    end = chart.first + timedelta(hours=HOURS)
    highest = _told(max(chart.values), chart.unit)
    return Drawn(
        title=chart.title,
        summary=_summary(chart),
        bars=tuple(bars),
        most=highest,
        begins=f"{chart.first:%H}:00",
        ends=f"{end:%H}:00",
    )


def _summary(chart: Chart) -> str:
    highest = _told(max(chart.values), chart.unit)
    if chart.title.startswith("Lag"):
        return f"at most {highest} on average in an hour"
    return f"{_told(chart.total, chart.unit)} in 24 hours, at most {highest} in one"


def _told(value: float, unit: str) -> str:
    text = f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
    return f"{text} {unit}".strip()

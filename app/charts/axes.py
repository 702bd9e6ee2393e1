"""What charts share: sizes, scales, and one colour and shape for each policy and word."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

import altair as alt

from app.style import CANDIDATE, INCUMBENT, WORD_COLOURS, WORD_SHAPES, Word

_TOP = frozenset({"$schema", "config", "datasets"})


@dataclass(frozen=True)
class Layers:
    """Charts on top of each other, the first at the bottom; independent: channels whose scales they do not share.

    Put together as written out: `alt.layer` copies every chart in depth several times, which takes longer than all the
    rest of a screen.
    """

    charts: tuple[alt.Chart, ...]
    height: int
    independent: tuple[str, ...] = ()

    def to_dict(self, validate: bool = True) -> dict[str, Any]:
        """The specification; validate: against the grammar of Vega-Lite."""
        layers = [chart.to_dict(validate=validate) for chart in self.charts]
        spec: dict[str, Any] = {"layer": layers, "height": self.height}
        for layer in layers:  # what belongs to a whole chart; which of it there is, Streamlit decides
            for name in _TOP & layer.keys():
                kept = layer.pop(name)
                spec[name] = {**spec.get(name, {}), **kept} if isinstance(kept, dict) else kept
        if self.independent:
            spec["resolve"] = {"scale": dict.fromkeys(self.independent, "independent")}
        if validate:
            alt.LayerChart.from_dict(spec, validate=True)
        return spec

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict())


Chart: TypeAlias = alt.Chart | Layers


def layered(*charts: alt.Chart, height: int, independent: tuple[str, ...] = ()) -> Layers:
    """Charts on top of each other, the first at the bottom."""
    return Layers(charts, height, independent)


HEIGHT = 300

FREE, WHOLE = alt.Scale(zero=False), alt.Scale(zero=True)

POLICIES = ["candidate", "incumbent"]
POLICY_COLOURS = alt.Scale(domain=POLICIES, range=[CANDIDATE, INCUMBENT])
WORDS = [str(word) for word in Word]
WORD_SCALES = (
    alt.Scale(domain=WORDS, range=[WORD_COLOURS[word] for word in Word]),
    alt.Scale(domain=WORDS, range=[WORD_SHAPES[word] for word in Word]),
)
POLICY_SHAPES = alt.Scale(domain=POLICIES, range=["diamond", "circle"])
TOP = alt.Legend(orient="top", title=None, labelLimit=0, symbolLimit=0)
WRAPPED = alt.Legend(orient="top", title=None, labelLimit=0, symbolLimit=0, columns=2)
"""Of more names than half a screen is wide."""


def above(title: str, form: str = "") -> alt.Axis:
    """A y axis whose title is read without turning one's head, and never cut; form: of its labels, as d3 writes it."""
    return alt.Axis(
        title=title, titleAngle=0, titleAlign="left", titleAnchor="end", titleX=-36, titleY=-10,
        format=form or alt.Undefined,
    )  # fmt: skip


def numbers(*names: str) -> list[alt.Tooltip]:
    """Tooltips of figures with four significant digits."""
    return [alt.Tooltip(f"{name}:Q", format=".4g") for name in names]


def words(*names: str) -> list[alt.Tooltip]:
    """Tooltips of texts, as channels, as all encodings here are: plain names are checked against the whole grammar,
    which takes longer than all the rest of a chart."""
    return [alt.Tooltip(f"{name}:N") for name in names]

"""What charts share: sizes, scales, and one colour and shape for each policy and word."""

from __future__ import annotations

from typing import TypeAlias

import altair as alt

from app.style import CANDIDATE, INCUMBENT, WORD_COLOURS, WORD_SHAPES, Word

Chart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart

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

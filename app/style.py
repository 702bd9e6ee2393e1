"""Words, signs and colours that mean one thing on every screen, chosen to survive colour blindness and print."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal, TypeAlias
from unicodedata import category

INCUMBENT, CANDIDATE = "#0072B2", "#D55E00"
"""Okabe and Ito's blue and vermilion; the palette's green and red are left alone."""
GREY, LIGHT_GREY, AMBER, SKY, PURPLE = "#7A7A7A", "#B5B5B5", "#E69F00", "#56B4E9", "#CC79A7"

LONGEST = 2000
"""Characters of one text from the store that are shown; reasons are long, hostile names are longer."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_FORMULA = re.compile(r"\s*[=+\-@|%＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?\s?%?")

BadgeColour: TypeAlias = Literal["blue", "orange", "violet", "gray"]


class Word(StrEnum):
    """What an interval says of a gain."""

    BETTER = "better"
    WORSE = "worse"
    NOT_CLEAR = "not clear yet"


class Status(StrEnum):
    """What a check says of the evidence."""

    OK = "OK"
    WATCH = "watch"
    STOP = "stop"
    WAITING = "waiting"


WORD_SIGNS = {Word.BETTER: "▲", Word.WORSE: "▼", Word.NOT_CLEAR: "●"}
WORD_SHAPES = {Word.BETTER: "triangle-up", Word.WORSE: "triangle-down", Word.NOT_CLEAR: "circle"}
WORD_COLOURS = {Word.BETTER: SKY, Word.WORSE: PURPLE, Word.NOT_CLEAR: GREY}
WORD_BADGES: dict[Word, BadgeColour] = {Word.BETTER: "blue", Word.WORSE: "violet", Word.NOT_CLEAR: "gray"}

STATUS_SIGNS = {Status.OK: "✓", Status.WATCH: "◆", Status.STOP: "■", Status.WAITING: "○"}
STATUS_BADGES: dict[Status, BadgeColour] = {
    Status.OK: "blue",
    Status.WATCH: "orange",
    Status.STOP: "violet",
    Status.WAITING: "gray",
}


def word_of(lower: float, upper: float) -> Word:
    """The word for a gain whose interval is lower to upper, better being above 0."""
    return Word.BETTER if lower > 0 else Word.WORSE if upper < 0 else Word.NOT_CLEAR


def short(iteration_id: str | None) -> str:
    """The start of an id, long enough to find the iteration by."""
    return (iteration_id or "none")[:12]


def figure(value: float) -> str:
    """A number with four significant digits, as in every sentence of a report."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def shown(text: str, most: int = LONGEST) -> str:
    """Text from the store as it may be shown: marks that hide it or turn it around are spelt out, and it ends."""
    spelt = "".join(f"⟨U+{ord(mark):04X}⟩" if category(mark) in _UNSEEN else mark for mark in text[: most + 1])
    return spelt if len(spelt) <= most else f"{spelt[: most - 1]}…"


def plain(text: str) -> str:
    """Text that Markdown shows as it is: names from the store never become links, pictures or formulas."""
    return re.sub(r"([\\`*_{}\[\]()<>#|!$:~&@./-])", r"\\\1", shown(text))


def inert(text: str) -> str:
    """Text for a table that may be exported: a spreadsheet takes it for text, never for a formula."""
    spelt = shown(text)
    return f"'{spelt}" if _FORMULA.match(spelt) and not _NUMBER.fullmatch(spelt) else spelt

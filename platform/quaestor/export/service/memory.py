"""Remembers recent decisions and outcomes, so that a retry is answered the same way and recorded once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, TypeVar

Kept = TypeVar("Kept")


class Recent(Generic[Kept]):
    """The newest entries by name, at most `most` of them."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._entries: OrderedDict[Any, Kept] = OrderedDict()

    def get(self, name: Any) -> Kept | None:
        """What was kept under a name, if it is still here."""
        return self._entries.get(name)

    def keep(self, name: Any, entry: Kept) -> None:
        """Keeps an entry; the oldest goes when there are too many."""
        self._entries[name] = entry
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

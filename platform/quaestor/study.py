"""Reads a study (TOML) or a manifest (JSON) into frozen dataclasses, and refuses what they do not name."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from quaestor.errors import UsageError

Record = TypeVar("Record")


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises UsageError when the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"No study at {path}. Give the path of a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None


def of_kind(path: Path, kind: str) -> dict[str, Any]:
    """Reads a study that must be of this kind; raises UsageError for any other."""
    mapping = read_toml(path)
    if mapping.get("kind") != kind:
        raise UsageError(f"{path}: expected kind = {kind!r}, found {mapping.get('kind')!r}.")
    return mapping


def parse(record_type: type[Record], mapping: Mapping[str, Any], where: str) -> Record:
    """Builds the dataclass from a mapping; `where` names the source in messages.

    Raises UsageError for an unknown key (with the nearest known one), a missing key, a value of the wrong
    type, or a value that the dataclass itself refuses.
    """
    hints = _hints(typing.cast(Any, record_type))
    fields = {field.name: field for field in dataclasses.fields(record_type) if field.init}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            raise UsageError(f"{where}: {record_type.__name__} has no {key!r}.{did_you_mean(key, fields)}")
    values = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _value(hints[name], mapping[name], f"{where}: {record_type.__name__}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UsageError(f"{where}: {record_type.__name__} needs {name!r}; add it.")
    try:
        return record_type(**values)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


def refuse_unknown(what: str, word: str, known: Iterable[str]) -> None:
    """Raises UsageError when a word is not among the known ones, with the nearest of them."""
    choices = list(known)
    if word not in choices:
        raise UsageError(f"No {what} {word!r}.{did_you_mean(word, choices)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, or all of them."""
    choices = list(known)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(sorted(choices))}."


@functools.cache
def _hints(record_type: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(record_type)


def _value(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return _one_of(typing.get_args(hint), value, where)
    if origin is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            hint_text = did_you_mean(str(value), [str(choice) for choice in choices])
            raise UsageError(f"{where} cannot be {value!r}.{hint_text}")
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise _wrong_type(where, "a table", value)
        return parse(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong_type(where, "a list", value)
        (item, *_) = typing.get_args(hint)
        return tuple(_value(item, entry, f"{where}[{index}]") for index, entry in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong_type(where, "a table", value)
        (_, item) = typing.get_args(hint)
        return {key: _value(item, entry, f"{where}.{key}") for key, entry in value.items()}
    return _scalar(hint, value, where)


def _one_of(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    """A union is either optional, or several dataclasses told apart by their `kind`."""
    if value is None and types.NoneType in hints:
        return None
    members = [hint for hint in hints if hint is not types.NoneType]
    if len(members) == 1:
        return _value(members[0], value, where)
    if not isinstance(value, Mapping):
        raise _wrong_type(where, "a table", value)
    kinds = {typing.get_args(typing.get_type_hints(member)["kind"])[0]: member for member in members}
    kind = value.get("kind")
    if kind not in kinds:
        raise UsageError(f"{where}.kind cannot be {kind!r}.{did_you_mean(str(kind), kinds)}")
    return parse(kinds[kind], value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise _wrong_type(where, "a finite number", value)
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}
    raise _wrong_type(where, words.get(hint, hint.__name__), value)


def _wrong_type(where: str, expected: str, value: Any) -> UsageError:
    return UsageError(f"{where} must be {expected}, found {value!r}.")

"""Options that are declared once for several commands, and what a command gets of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Command = Callable[..., int]
Decorator = Callable[[Any], Any]  # click's, which takes functions and what it made of them


@dataclass(frozen=True)
class Group:
    """Options that are declared together; as a decorator it gives a command the parameter
    ``into``, made of their words. Groups into ``fields`` add to one dictionary."""

    into: str
    meaning: Callable[..., Any]  # takes the words by the names of the options
    declared: tuple[Decorator, ...]
    names: frozenset[str]

    def __call__(self, function: Command) -> Command:
        """The command with these options."""

        @functools.wraps(function)
        def command(*args: Any, **words: Any) -> int:
            value = self.meaning(**{name: words.pop(name) for name in self.names})
            if self.into == "fields":
                value = words.get("fields", {}) | value
            return function(*args, **words | {self.into: value})

        for decorator in reversed(self.declared):
            command = decorator(command)
        return command


def group(meaning: Callable[..., Any], *declared: Decorator, into: str = "fields") -> Group:
    """Options whose words ``meaning`` takes."""
    return Group(into, meaning, declared, frozenset(inspect.signature(meaning).parameters))


def fields(*declared: Decorator, names: str) -> Group:
    """Options whose words are fields of EncodeOptions or DecodeOptions as they are."""

    def as_they_are(**words: Any) -> dict[str, Any]:
        return words

    return Group("fields", as_they_are, declared, frozenset(names.split()))


def options(*declared: Decorator) -> Decorator:
    """Options that a command gets as they are."""

    def apply(function: Any) -> Any:
        for decorator in reversed(declared):
            function = decorator(function)
        return function

    return apply

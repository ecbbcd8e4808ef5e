"""The choice between commands, as tyro wants it: a type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Union

from tyro.conf import Suppress, subcommand


def choice_of(commands: Mapping[str, Any], words: Sequence[str]) -> Any:
    """Return the type from which tyro makes the choice between commands, and between a group's own commands.

    A command that the words do not name is only listed, by the first sentence of its help; tyro need not study it.
    """
    options: list[Any] = []
    for name, command in commands.items():
        help_text = command[""] if isinstance(command, Mapping) else command.__doc__
        summary = help_text.partition("\n")[0]
        if name not in words:
            options.append(Annotated[None, subcommand(name=name, constructor=_unnamed, description=summary)])
        elif isinstance(command, Mapping):
            options.append(Annotated[Any, subcommand(name=name, constructor=_group(command, words))])
        else:
            options.append(Annotated[Any, subcommand(name=name, constructor=command)])
    if len(options) == 1:
        options.append(Annotated[None, Suppress])  # a choice of one is no choice to Python
    return Union[tuple(options)]  # noqa: UP007


def _group(commands: Mapping[str, Any], words: Sequence[str]) -> Callable[..., Any]:
    def run(command: Any) -> Any:
        return command

    run.__doc__ = commands[""]
    run.__annotations__["command"] = choice_of({name: value for name, value in commands.items() if name}, words)
    return run


def _unnamed() -> None:
    """Stand for a command that was not asked for."""

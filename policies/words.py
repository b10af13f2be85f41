"""What the command lines of training and evaluation share: words that become values, and errors that stay words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from circuits.errors import DependencyNotInstalled, InvalidParameter
from circuits.parameters import domains, short
from orchestrator.errors import in_words

LEARN = ("torch", "safetensors")
"""Packages of the extra ``learn`` that commands import when they run."""


@contextmanager
def errors_in_words() -> Iterator[None]:
    """What is wrong with the input or the environment, or not installed, in one line and with status 2."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in LEARN:
            raise
        typer.echo(f"error: {DependencyNotInstalled('this command', error.name, 'learn')}", err=True)
        raise typer.Exit(2) from error
    except Exception as error:
        message = in_words(error)
        if message is None:
            raise
        typer.echo(f"error: {message}", err=True)
        raise typer.Exit(2) from error


def named(option: str, words: Sequence[str] | None) -> dict[str, str]:
    """``NAME=VALUE`` words by name.

    Raises:
        InvalidParameter: a word has no ``=``.
    """
    for word in words or ():
        if "=" not in word:
            raise InvalidParameter(f"--{option}: wanted NAME=VALUE, got {short(word)}")
    return {name: value for name, _, value in (word.partition("=") for word in words or ())}


def fitting(kind: type, words: Mapping[str, str]) -> dict[str, Any]:
    """Words as the values that the fields of ``kind`` hold; unknown names stay words, to be refused by name.

    Raises:
        InvalidParameter: a word is no number where one is wanted.
    """
    known = domains(kind)
    return {
        name: number(f"{kind.__name__}.{name}", word, known[name].kind, known[name].describe())
        if name in known and known[name].kind is not str
        else word
        for name, word in words.items()
    }


def number(name: str, word: str, kind: type = float, wanted: str = "a number") -> Any:
    """A word as a number.

    Raises:
        InvalidParameter: it is none.
    """
    try:
        return kind(word)
    except ValueError as error:
        raise InvalidParameter(f"{name}: wanted {wanted}, got {short(word)}") from error


def plain(word: str) -> Any:
    """A word as what it looks like: true, false, an integer, a number, or a word."""
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def weights_pair(word: str) -> tuple[float, float]:
    """``0.8:0.2`` as the weights of delay and energy.

    Raises:
        InvalidParameter: it is not two numbers.
    """
    first, colon, second = word.partition(":")
    if not colon:
        raise InvalidParameter(f"weights: wanted DELAY:ENERGY such as 0.8:0.2, got {short(word)}")
    return number("weights", first), number("weights", second)

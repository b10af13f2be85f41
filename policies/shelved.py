"""Checkpoints as members of the registry of policies: an attribute of this module is one by its name."""

from policies.shelf import Member, is_name


def __getattr__(name: str) -> Member:
    if not is_name(name):
        raise AttributeError(name)
    return Member(name)

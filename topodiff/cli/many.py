"""Options that take several values after one name."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from typer.core import TyperCommand


def many_values(*options: str) -> type[TyperCommand]:
    """A kind of command for which ``--option a b c`` means ``--option a --option b --option c``."""

    class Command(TyperCommand):
        def collect_usage_pieces(self, ctx: Any) -> list[str]:
            # arguments first: after an option that takes several values they would be some of these
            first, *arguments = super().collect_usage_pieces(ctx)
            return [*arguments, first]

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            spread: list[str] = []
            current = ""
            for word, after in pairwise([*args, "-"]):
                if word.startswith("-"):
                    current = word if word in options else ""
                    if current and after.startswith("-"):
                        ctx.fail(f"Option {word!r} requires an argument.")
                    if current:
                        continue
                elif current:
                    spread.append(current)
                spread.append(word)
            return super().parse_args(ctx, spread)

    return Command

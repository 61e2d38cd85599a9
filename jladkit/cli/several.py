"""Options that may be followed by several values, as in --alpha 0.05 0.1."""

import click


def several(option: str) -> type[click.Command]:
    """A class of commands that let one `option` be followed by several numbers, or by several
    lists of numbers with commas between them."""

    class Several(click.Command):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            spelled: list[str] = []
            after = False
            for arg in args:
                after = after and is_numbers(arg)
                if after and spelled[-1] != option:
                    spelled.append(option)
                spelled.append(arg)
                after = after or arg == option or arg.startswith(f"{option}=")
            return super().parse_args(ctx, spelled)

    return Several


def is_numbers(text: str) -> bool:
    """Whether `text` spells a number, or several with commas between them."""
    try:
        [float(part) for part in text.split(",")]
    except ValueError:
        return False
    return True

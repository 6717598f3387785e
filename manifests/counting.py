"""Write a number with its noun."""


def counted(count: int, noun: str) -> str:
    """Write a number with its noun: `1 song`, `1,200 songs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

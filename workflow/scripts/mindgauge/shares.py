"""The interval of a share, and of how many cases it says something. No library is imported, so that whoever only shows figures can use it."""

from math import sqrt

Z95 = 1.959963984540054
# Of fewer cases a share says little.
FEW = 10


def wilson(hits: int, n: int) -> list[float] | None:
    """Wilson's 95 % score interval of a proportion (E. B. Wilson 1927), or None where there is no case."""
    if n == 0:
        return None
    share, square = hits / n, Z95 * Z95
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 * sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return [round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)]

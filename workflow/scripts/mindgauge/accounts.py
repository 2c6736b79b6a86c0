"""Accounts: what was read, kept and dropped, by source, so that the sums can be checked."""

from array import array
from collections import Counter
from typing import Any

import numpy as np


class Account:
    """What became of the records of one source: kept with their turns and characters, or dropped for a reason."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.turns, self.chars = array("I"), array("I")

    def keep(self, turns: int, chars: int) -> None:
        """Counts a kept record."""
        self.turns.append(turns)
        self.chars.append(chars)

    def drop(self, reason: str) -> None:
        """Counts a dropped record."""
        self.dropped[reason] += 1

    def to_dict(self) -> dict[str, Any]:
        """{read, kept, dropped: {reason: n}, turns, chars}; read = kept + the sum of dropped."""
        kept = len(self.turns)
        return {
            "read": kept + sum(self.dropped.values()),
            "kept": kept,
            "dropped": dict(self.dropped),
            "turns": spread(self.turns),
            "chars": spread(self.chars),
        }


def spread(values: "array[int]") -> dict[str, float]:
    """Smallest, 10 %, median, 90 %, largest and mean of some counts; empty if there are none."""
    if not values:
        return {}
    counts = np.frombuffer(values, dtype=np.uint32)
    low, tenth, median, ninth, high = np.percentile(counts, [0, 10, 50, 90, 100])
    return {
        "min": float(low),
        "p10": float(tenth),
        "median": float(median),
        "p90": float(ninth),
        "max": float(high),
        "mean": round(float(counts.mean()), 1),
    }


def totals(accounts: dict[str, Account]) -> dict[str, Any]:
    """{read, kept, sources: {name: account}}."""
    sources = {name: account.to_dict() for name, account in accounts.items()}
    return {
        "read": sum(of["read"] for of in sources.values()),
        "kept": sum(of["kept"] for of in sources.values()),
        "sources": sources,
    }

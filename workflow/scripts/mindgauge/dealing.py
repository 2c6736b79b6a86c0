"""Dealing split groups to train, val and test: by risk class, then by source, in an order that only the group's own hash decides,
so that added records move few of the old ones."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True)
class Stratum:
    """What a group is dealt by: its rarest value of the alarm, and its main source."""

    risk: str
    source: str


def _order(group: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {group}".encode()).hexdigest()


def shared(total: int, sizes: dict[str, int]) -> dict[str, int]:
    """`total` dealt over parts in proportion to their sizes, by largest remainder; none gets more than its size."""
    whole = sum(sizes.values())
    exact = {name: total * size / whole for name, size in sizes.items()} if whole else {}
    found = {name: int(share) for name, share in exact.items()}
    for name in sorted(exact, key=lambda name: (found[name] - exact[name], name))[: total - sum(found.values())]:
        found[name] += 1
    return found


def deal(
    groups: dict[str, Stratum], val: float, test: float, seed: int, safe: str | None, min_per_class: int
) -> dict[str, str]:
    """group -> split. Of each risk class `test` and `val` of the groups, over the sources in proportion; of a class that raises an
    alarm at least `min_per_class` to test, as long as half of the class is left."""
    classes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for group, stratum in groups.items():
        classes[stratum.risk][stratum.source].append(group)
    splits = {}
    for risk, by_source in classes.items():
        count = sum(map(len, by_source.values()))
        wanted = round(test * count)
        if test > 0 and safe is not None and risk != safe:
            wanted = max(wanted, min(min_per_class, count // 2))
        to_test = shared(wanted, {source: len(members) for source, members in by_source.items()})
        left = {source: len(members) - to_test[source] for source, members in by_source.items()}
        to_val = shared(min(round(val * count), sum(left.values())), left)
        for source, members in by_source.items():
            members.sort(key=lambda group: _order(group, seed))
            for number, group in enumerate(members):
                first, second = to_test[source], to_test[source] + to_val[source]
                splits[group] = "test" if number < first else "val" if number < second else "train"
    return splits

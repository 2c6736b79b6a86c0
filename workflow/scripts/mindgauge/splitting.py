"""Split groups: records that are near duplicates, or tell one story, share a group and so never straddle a split."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rensa import RMinHash
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mindgauge.files import write_json, write_jsonl
from mindgauge.parallel import in_batches
from mindgauge.progress import Progress
from mindgauge.records import Record, read_records
from mindgauge.shingles import packed, shingles

SEED = 1
SENTENCE_END = re.compile(r"[。！？!?；;…\n]+")
# A sentence this long, or an opening, is no coincidence; one in more records than COMMON is a phrase.
LONG, OPENING, COMMON = 20, 10, 10
# What any client answers to any advice tells no story.
COURTESY = re.compile(r"谢|建议|会(?:努力|尽量|尝试|试)|试试|尝试|你说|您说|明白|理解你|有道理|希望能|听起来|好的|是的")
# With that many bands a pair at the threshold is missed once in a hundred times.
FOUND = 0.99
Pairs = npt.NDArray[np.int64]


def bands(threshold: float, permutations: int) -> tuple[int, int]:
    """How many bands of how many rows find a pair of similarity `threshold` with probability FOUND: as few candidates as that
    allows (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4)."""
    for rows in range(permutations, 1, -1):
        count = permutations // rows
        if 1 - (1 - threshold**rows) ** count >= FOUND:
            return count, rows
    return permutations, 1


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def openings(record: Record) -> set[int]:
    """What begins a story, as numbers: the question, the first client turn, and its first sentence. A retold question keeps
    one of them."""
    first = next((turn.text for turn in record.turns if turn.role == "client"), "")
    texts = {packed(record.question or ""), packed(first), packed(SENTENCE_END.split(first, maxsplit=1)[0])}
    return {_number(text) for text in texts if len(text) >= OPENING}


def sentences(record: Record) -> set[int]:
    """The long sentences of the client, as numbers."""
    texts = {packed(text) for text in SENTENCE_END.split(record.words("client"))}
    return {_number(text) for text in texts if len(text) >= LONG and not COURTESY.search(text)}


def same(keys: list[int], owners: list[int], most: int | None) -> Pairs:
    """Pairs of owners (n x 2) that hold the same key; keys of more than `most` owners are left out."""
    if not keys:
        return np.empty((0, 2), dtype=np.int64)
    key, owner = np.array(keys, dtype=np.uint64), np.array(owners, dtype=np.int64)
    order = np.lexsort((owner, key))
    key, owner = key[order], owner[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    sizes = np.diff(np.r_[starts, len(key)])
    first, size = np.repeat(owner[starts], sizes), np.repeat(sizes, sizes)
    chosen = (first != owner) & ((size <= most) if most else True)
    return np.stack([first[chosen], owner[chosen]], axis=1)


def alike(signatures: npt.NDArray[np.uint32], threshold: float) -> Pairs:
    """Pairs of rows whose MinHash signatures agree in at least `threshold` of their places. Candidates are neighbours in a
    band's bucket and its first row."""
    count, rows = bands(threshold, signatures.shape[1])
    found = []
    for number in range(count):
        band = np.ascontiguousarray(signatures[:, number * rows : (number + 1) * rows])
        names = band.view(np.dtype((np.void, band.dtype.itemsize * rows))).ravel()
        order = np.argsort(names, kind="stable")
        equal = names[order][1:] == names[order][:-1]
        starts = np.flatnonzero(np.r_[True, ~equal])
        first = np.repeat(order[starts], np.diff(np.r_[starts, len(order)]))
        here = np.flatnonzero(equal) + 1
        for other in (order[here - 1], first[here]):
            for part in np.array_split(np.arange(len(here)), max(1, len(here) // 65536)):
                one, two = order[here[part]], other[part]
                close = (signatures[one] == signatures[two]).mean(axis=1) >= threshold
                found.append(np.stack([one[close], two[close]], axis=1))
    pairs = np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)
    return np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)


def signatures_of(texts: Iterable[str], permutations: int) -> npt.NDArray[np.uint32]:
    """The MinHash signatures (rensa) of the shingles of some texts, n x permutations."""
    held = [shingles(text) for text in texts]
    offsets = np.cumsum([0, *map(len, held)]).astype(np.uint64)
    flat = np.concatenate(held) if held else np.empty(0, dtype=np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets, permutations, SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(held), permutations)


def group(
    records: Iterable[Record], near_duplicate: float, permutations: int
) -> tuple[list[str], list[str], list[str], dict[str, int]]:
    """ids, their groups (the smallest id of each), their sources, and how many pairs each reason joined."""
    ids: list[str] = []
    sources: list[str] = []
    keys: dict[str, tuple[list[int], list[int]]] = {"opening": ([], []), "sentence": ([], [])}
    blocks = []

    def batches() -> Iterator[list[Record]]:
        yield from in_batches(Progress(records, what="records"))

    for batch in batches():
        for record in batch:
            for name, numbers in (("opening", openings(record)), ("sentence", sentences(record))):
                keys[name][0].extend(numbers)
                keys[name][1].extend([len(ids)] * len(numbers))
            ids.append(str(record.id))
            sources.append(record.source)
        blocks.append(signatures_of([record.words("client") for record in batch], permutations))
    joined = {
        "same opening": same(*keys["opening"], None),
        "same long sentence": same(*keys["sentence"], COMMON),
        "near duplicate": alike(np.concatenate(blocks), near_duplicate) if blocks else np.empty((0, 2), dtype=np.int64),
    }
    pairs = np.concatenate(list(joined.values()))
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(ids), len(ids)))
    parts = connected_components(graph, directed=False)[1] if ids else []
    smallest: dict[int, str] = {}
    for name, part in zip(ids, parts, strict=True):
        smallest[part] = min(name, smallest.get(part, name))
    return ids, [smallest[part] for part in parts], sources, {reason: len(of) for reason, of in joined.items()}


def split(entry: Path, out: Path, near_duplicate: float, permutations: int) -> None:
    """Writes groups.jsonl ({id, group}) and stats_split.json. Gold records are grouped too, so that none is trained on in other
    words."""
    records = (record for name in ("unified_min.jsonl", "gold.jsonl") for record in read_records(entry / name))
    ids, groups, sources, joined = group(records, near_duplicate, permutations)
    write_jsonl(out / "groups.jsonl", ({"id": name, "group": of} for name, of in zip(ids, groups, strict=True)))
    members: dict[str, list[str]] = {}
    for of, source in zip(groups, sources, strict=True):
        members.setdefault(of, []).append(source)
    stats: dict[str, Any] = {
        "records": len(ids),
        "groups": len(members),
        "largest": max(map(len, members.values()), default=0),
        "joined": sum(len(of) for of in members.values() if len(of) > 1),
        "across_sources": sum(len(set(of)) > 1 for of in members.values()),
        "pairs": joined,
    }
    write_json(out / "stats_split.json", stats)

"""Split groups: records that are near duplicates, or answer one question, share a group and so never straddle a split."""

from collections import Counter
from pathlib import Path

from datasketch import MinHash, MinHashLSH

from mindgauge.files import read_jsonl, write_json, write_jsonl
from mindgauge.progress import Progress
from mindgauge.records import Record

SHINGLE = 4


def shingles(text: str) -> set[str]:
    """Character 4-grams of a text without white space: Chinese has no words to split at."""
    packed = "".join(text.split())
    return {packed[start : start + SHINGLE] for start in range(max(1, len(packed) - SHINGLE + 1))}


class Groups:
    """Disjoint sets (union-find with path halving)."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}

    def find(self, item: str) -> str:
        """The representative of the item's set."""
        self.parent.setdefault(item, item)
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, one: str, other: str) -> None:
        """Makes two sets one; the smaller name represents it, so the order of joining does not matter."""
        first, second = sorted((self.find(one), self.find(other)))
        self.parent[second] = first


def group(records: list[Record], near_duplicate: float, permutations: int) -> dict[str, str]:
    """id -> group. Joined are: records of the same question text, of the same first client turn, and those whose client
    words have an estimated Jaccard similarity of at least `near_duplicate` (MinHash LSH, datasketch)."""
    groups = Groups()
    index = MinHashLSH(threshold=near_duplicate, num_perm=permutations)
    first: dict[str, str] = {}
    for record in Progress(records, what="records"):
        name = str(record.id)
        groups.find(name)
        for text in {record.question or "", next((turn.text for turn in record.turns if turn.role == "client"), "")}:
            packed = "".join(text.split())
            if len(packed) >= 10:  # a greeting is no reason to join
                groups.join(name, first.setdefault(packed, name))
        sketch = MinHash(num_perm=permutations, seed=1)
        sketch.update_batch([shingle.encode() for shingle in shingles(record.words("client"))])
        for near in index.query(sketch):
            groups.join(name, near)
        index.insert(name, sketch)
    return {str(record.id): groups.find(str(record.id)) for record in records}


def split(entry: Path, out: Path, near_duplicate: float, permutations: int) -> None:
    """Writes groups.jsonl ({id, group}) and stats.json."""
    records = [Record.from_dict(row) for row in read_jsonl(entry / "unified_min.jsonl")]
    groups = group(records, near_duplicate, permutations)
    write_jsonl(out / "groups.jsonl", ({"id": name, "group": of} for name, of in groups.items()))
    sizes = Counter(groups.values())
    write_json(
        out / "stats.json",
        {
            "records": len(groups),
            "groups": len(sizes),
            "largest": max(sizes.values(), default=0),
            "joined": sum(size for size in sizes.values() if size > 1),
        },
    )

"""The backend `keywords`: the embedded rules."""

from collections.abc import Iterable, Iterator
from typing import Any

from mindgauge import keywords
from mindgauge.labels import Scheme
from mindgauge.records import Record


def label(records: Iterable[Record], scheme: Scheme) -> Iterator[dict[str, Any]]:
    """Labels each record by its client's words."""
    keywords.check(scheme)
    for record in records:
        found = keywords.label(record.words("client"))
        yield {"id": record.id, "labels": found.labels, "evidence": found.evidence}

"""The backend `keywords`: the embedded rules, which say which of them fired."""

from collections.abc import Iterable, Iterator

from mindgauge import keywords
from mindgauge.labellers.common import Answer, Asked
from mindgauge.labels import Scheme

PACE: tuple[str, ...] = ()


def label(asked: Iterable[Asked], scheme: Scheme) -> Iterator[Answer]:
    """Labels each record by its client's words. Raises UserError if the scheme is not the one the rules are written for."""
    keywords.check(scheme)
    for one in asked:
        found = keywords.label(one.text)
        yield Answer(one.id, dict(found.labels), None, found.evidence)

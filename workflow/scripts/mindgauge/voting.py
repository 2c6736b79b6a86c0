"""Several voters, one decision: which labels a record gets, and how sure that is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mindgauge.errors import UserError
from mindgauge.labels import Field, Scheme, Value

RULES = ("majority", "median")
DIGITS = 6  # sums of probabilities that differ by less are equal: the order of voters must not decide


@dataclass(frozen=True, slots=True)
class Vote:
    """What one voter (a model, a prompt, a seed) says of a record: its labels, None if it gave no valid answer, and perhaps
    label -> str(value) -> probability."""

    labels: Mapping[str, Value] | None
    probabilities: Mapping[str, Mapping[str, float]] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The labels of a record, how sure each is (0 to 1), and the least of that."""

    labels: dict[str, Value]
    confidence: dict[str, float]
    least: float


def _mass(field: Field, vote: Vote) -> list[float]:
    """What a voter gives to each value: its probabilities, or 1 to the value it chose. Nothing without a valid answer."""
    if vote.labels is None:
        return [0.0] * len(field.values)
    held = (vote.probabilities or {}).get(field.name)
    if held is None:
        return [float(value == vote.labels[field.name]) for value in field.values]
    found = [float(held.get(str(value), 0.0)) for value in field.values]
    if not all(0.0 <= p <= 1.0 + 1e-6 for p in found):  # false for NaN, too
        raise UserError(
            f"a voter's probability of {field.name} is not between 0 and 1",
            where="the answers of a labeller",
            instead="this is a defect of a labeller; please report it",
        )
    return found


def _lower_median(places: Sequence[int]) -> int:
    return sorted(places)[(len(places) - 1) // 2]


def _majority(field: Field, places: list[int], mass: list[float], *, weighed: bool) -> int:
    """The place of the value with most votes. Of several the most probable one, if a voter gave probabilities; if that does not
    settle it, of an ordinal label the lower median of those in the tie, of a nominal one an alarming value before the safe
    one and an earlier before a later one: a miss costs more than a false alarm."""
    counts = Counter(places)
    most = max(counts.values())
    tied = [place for place in counts if counts[place] == most]
    if weighed:
        best = max(mass[place] for place in tied)
        tied = [place for place in tied if mass[place] == best]
    if field.kind == "ordinal":
        return _lower_median(tied)
    return min(tied, key=lambda place: (field.values[place] == field.safe, place))


def decide(scheme: Scheme, votes: Sequence[Vote], rule: str = "majority") -> Decision | None:
    """The decision of k >= 1 voters on one record; None if none gave a valid answer.

    `majority`: see `_majority`. `median`: of an ordinal label the lower median of the valid votes (of an even number the lower
    of the two in the middle, so that it is a value somebody gave), of a nominal one the majority.

    Confidence of a nominal label is the mean, over all k voters, of what they give to the chosen value (the linear opinion
    pool: M. Stone 1961; where there are no probabilities it is the share of votes). Of an ordinal label what they give to the
    chosen value and its two neighbours: that two voters differ by one step is no doubt. A voter without a valid answer gives
    nothing to any value, so it lowers the confidence.

    Raises UserError for an unknown rule, and for a probability outside 0 to 1.
    """
    if rule not in RULES:
        raise UserError(f"there is no voting rule {rule!r}", where="config: label", instead=" or ".join(RULES))
    valid = [vote for vote in votes if vote.labels is not None]
    if not valid:
        return None
    labels: dict[str, Value] = {}
    confidence: dict[str, float] = {}
    for field in scheme.fields:
        places = [field.values.index(vote.labels[field.name]) for vote in valid if vote.labels is not None]
        given = [_mass(field, vote) for vote in votes]
        mass = [round(sum(column) / len(votes), DIGITS) for column in zip(*given, strict=True)]
        weighed = any(field.name in (vote.probabilities or {}) for vote in valid)
        ordinal = field.kind == "ordinal"
        place = (
            _lower_median(places) if ordinal and rule == "median" else _majority(field, places, mass, weighed=weighed)
        )
        near = mass[max(0, place - 1) : place + 2] if ordinal else [mass[place]]
        labels[field.name] = field.values[place]
        confidence[field.name] = min(1.0, round(sum(near), DIGITS))
    return Decision(labels, confidence, min(confidence.values()))

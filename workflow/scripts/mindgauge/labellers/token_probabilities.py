"""A probability for every value of every label, from the tokens of an answer and the alternatives a server lists for each.

A value may take several tokens, and a token may hold more than the value (`": 2`, `1,`). So the tokens of a value are walked
along the answer: at each, an alternative that leads to one value only gives its share to that value, and the token that was
taken is followed as long as several values begin with it. Shares are taken among the alternatives that lead to a valid value,
as a decoder held to the valid answers would take them.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mindgauge.labels import Field, Scheme, Value

# The share of the probability that may lie where the lists do not reach; beyond it nothing is derived.
UNSEEN = 0.01


@dataclass(frozen=True)
class Token:
    """A token of the answer: its bytes, its log probability, and the alternatives with theirs."""

    piece: bytes
    logprob: float
    top: Sequence[tuple[bytes, float]]


def _leads_to(so_far: bytes, values: dict[Value, bytes]) -> list[Value]:
    """The values that `so_far`, what is written from the value's first byte on, can still become or has become."""
    found = []
    for value, written in values.items():
        if written.startswith(so_far):
            found.append(value)
        elif so_far.startswith(written):
            # 1 is not what 10 or 1.5 begins with; a string ends with its quote.
            after = so_far[len(written) :][:1]
            if isinstance(value, str) or not (after.isalnum() or after in b".+-"):
                found.append(value)
    return found


def _of_value(
    field: Field, values: dict[Value, bytes], tokens: Sequence[Token], inside: int
) -> dict[str, float] | None:
    """The probabilities of one label whose value begins `inside` bytes into the first of `tokens`."""
    shares: dict[Value, float] = dict.fromkeys(values, 0.0)
    unseen, path, so_far = 0.0, 1.0, b""
    lead = tokens[0].piece[:inside]
    possible = list(values)
    for token in tokens:
        if not token.piece:
            continue
        listed = dict(token.top)
        least = min(listed.values(), default=0.0)
        listed[token.piece] = token.logprob
        leads = {}
        for piece, logprob in listed.items():
            # Another way of writing what stands before the value (no space, say) is another answer's.
            if piece.startswith(lead) and len(piece) > len(lead):
                to = [value for value in _leads_to(so_far + piece[len(lead) :], values) if value in possible]
                if to:
                    leads[piece] = (to, math.exp(min(logprob, 0.0)))
        valid = sum(share for _, share in leads.values())
        if token.piece not in leads or valid <= 0:
            return None
        reached = {value for to, _ in leads.values() for value in to}
        unseen += path * min(1.0, sum(value not in reached for value in possible) * math.exp(min(least, 0.0)) / valid)
        for piece, (to, share) in leads.items():
            if len(to) == 1:
                shares[to[0]] += path * share / valid
            elif piece != token.piece:
                unseen += path * share / valid
        possible, share = leads[token.piece]
        if len(possible) == 1:
            break
        path *= share / valid
        so_far += token.piece[len(lead) :]
        lead = b""
    else:
        return None
    if unseen > UNSEEN:
        return None
    total = sum(shares.values())
    return {str(value): share / total for value, share in shares.items()}


def probabilities(
    scheme: Scheme, labels: dict[str, Value], tokens: Sequence[Token]
) -> dict[str, dict[str, float]] | None:
    """label -> str(value) -> probability, summing to 1 a label; or None if that of any label cannot be derived: the tokens
    do not spell the answer, or more than 1 % of the probability may lie beyond the listed alternatives."""
    written = b"".join(token.piece for token in tokens)
    answer = written.rfind(b"</think>") + 1
    starts, at = [], 0
    for token in tokens:
        starts.append(at)
        at += len(token.piece)
    found = {}
    for field in scheme.fields:
        places = list(
            re.finditer(re.escape(json.dumps(field.name, ensure_ascii=False).encode()) + rb"\s*:\s*", written[answer:])
        )
        if not places:
            return None
        begin = answer + places[-1].end()
        quoted = written[begin : begin + 1] == b'"'
        # Numbers as strings are accepted, so their values are looked for as strings too.
        values = {
            value: json.dumps(str(value) if quoted else value, ensure_ascii=False).encode() for value in field.values
        }
        if not written[begin:].startswith(values[labels[field.name]]):
            return None
        # The last token that begins at or before the value; empty pieces at its begin are passed over.
        number = max(n for n, start in enumerate(starts) if start <= begin and start + len(tokens[n].piece) > begin)
        shares = _of_value(field, values, tokens[number:], begin - starts[number])
        if shares is None:
            return None
        found[field.name] = shares
    return found

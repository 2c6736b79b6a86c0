import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgauge.errors import UserError
from mindgauge.labels import Scheme
from mindgauge.voting import Vote, decide

LEVEL = {"name": "level", "kind": "ordinal", "values": [0, 1, 2, 3]}
RISK = {"name": "risk", "kind": "nominal", "values": ["none", "a", "b"], "safe": "none"}
SCHEME = Scheme.from_dict({"fields": [LEVEL, RISK]})


def votes(levels, risks=None):
    return [Vote({"level": level, "risk": risk}) for level, risk in zip(levels, risks or ["none"] * 9, strict=False)]


@pytest.mark.parametrize(
    ("levels", "majority", "median"),
    [
        ([2], 2, 2),
        ([0, 3, 3], 3, 3),
        ([0, 0, 0, 3, 3], 0, 0),
        ([1, 1, 2, 2], 1, 1),  # a tie: the lower median of 1 and 2
        ([0, 0, 3, 3, 1], 0, 1),  # a tie of 0 and 3, which no voter's 1 settles; the middle vote is 1
        ([0, 1, 3], 1, 1),
        ([3, 0, 0, 2, 2], 0, 2),
    ],
)
def test_ordinal_labels(levels, majority, median):
    for order in itertools.permutations(levels):
        assert decide(SCHEME, votes(order), "majority").labels["level"] == majority
        assert decide(SCHEME, votes(order), "median").labels["level"] == median


@pytest.mark.parametrize(
    ("risks", "decided"),
    [
        (["none", "none", "a"], "none"),
        (["none", "a"], "a"),  # an alarming value goes before the safe one
        (["b", "a"], "a"),  # the earlier in the scheme
        (["none", "b", "a"], "a"),
        (["none", "b", "b"], "b"),
    ],
)
@pytest.mark.parametrize("rule", ["majority", "median"])
def test_nominal_labels(risks, decided, rule):
    for order in itertools.permutations(risks):
        assert decide(SCHEME, votes([0] * 3, order), rule).labels["risk"] == decided


def test_in_a_tie_the_mean_probability_decides():
    sure = Vote({"level": 0, "risk": "none"}, {"risk": {"none": 0.9, "a": 0.1, "b": 0.0}})
    unsure = Vote({"level": 0, "risk": "a"}, {"risk": {"none": 0.45, "a": 0.5, "b": 0.05}})
    found = decide(SCHEME, [sure, unsure])
    assert found.labels["risk"] == "none" and found.confidence["risk"] == pytest.approx(0.675)
    # but it never outvotes a majority
    assert decide(SCHEME, [sure, unsure, unsure]).labels["risk"] == "a"


def test_confidence_by_hand():
    """Level 1: (0.6 + 0.3) + (neighbours 0 and 2) = 1.0 and 0.7 -> 0.85. Risk: voter two has no probabilities."""
    one = Vote(
        {"level": 1, "risk": "a"},
        {"level": {"0": 0.1, "1": 0.6, "2": 0.3, "3": 0.0}, "risk": {"none": 0.3, "a": 0.7, "b": 0.0}},
    )
    two = Vote({"level": 1, "risk": "a"}, {"level": {"0": 0.0, "1": 0.3, "2": 0.4, "3": 0.3}})
    found = decide(SCHEME, [one, two])
    assert found.labels == {"level": 1, "risk": "a"}
    assert found.confidence == {"level": pytest.approx(0.85), "risk": pytest.approx(0.85)}
    assert found.least == min(found.confidence.values())


def test_a_neighbouring_level_is_no_doubt_but_a_far_one_is():
    assert decide(SCHEME, votes([1, 2, 2])).confidence["level"] == 1.0
    assert decide(SCHEME, votes([0, 2, 2])).confidence["level"] == pytest.approx(2 / 3, abs=1e-6)
    assert decide(SCHEME, votes([0, 3, 3], ["none", "a", "a"])).confidence["risk"] == pytest.approx(2 / 3, abs=1e-6)


def test_a_voter_without_an_answer_lowers_the_confidence_and_none_is_no_decision():
    found = decide(SCHEME, [*votes([2, 2]), Vote(None)])
    assert found.labels["level"] == 2 and found.least == pytest.approx(2 / 3, abs=1e-6)
    assert decide(SCHEME, [Vote(None), Vote(None)]) is None and decide(SCHEME, []) is None


def test_a_wrong_rule_and_a_wrong_probability_are_told():
    with pytest.raises(UserError, match="majority or median"):
        decide(SCHEME, votes([1]), "mean")
    for wrong in (1.5, -0.1, math.nan):
        with pytest.raises(UserError, match="risk is not between 0 and 1"):
            decide(SCHEME, [Vote({"level": 0, "risk": "a"}, {"risk": {"a": wrong}})])


PROBABILITIES = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(
    lambda of: {value: p / (sum(of) or 1) for value, p in zip(("none", "a", "b"), of, strict=True)}
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.none() | st.tuples(st.integers(0, 3), st.sampled_from(["none", "a", "b"]), st.none() | PROBABILITIES),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["majority", "median"]),
    st.randoms(),
)
def test_the_order_of_voters_never_decides(of, rule, random):
    cast = [
        Vote(None) if vote is None else Vote({"level": vote[0], "risk": vote[1]}, vote[2] and {"risk": vote[2]})
        for vote in of
    ]
    found = decide(SCHEME, cast, rule)
    random.shuffle(cast)
    assert decide(SCHEME, cast, rule) == found
    if found is not None:
        assert found.labels["level"] in {vote.labels["level"] for vote in cast if vote.labels}
        assert all(0 <= sure <= 1 for sure in found.confidence.values())

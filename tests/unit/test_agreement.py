import json
import random

import pytest

from mindgauge.agreement import agreement
from mindgauge.labels import Scheme

NOMINAL = {"name": "class", "kind": "nominal", "values": ["1", "2", "3", "4", "5"]}
ORDINAL = {"name": "level", "kind": "ordinal", "values": [1, 2, 3, 4, 5]}
SCHEME = Scheme.from_dict({"fields": [NOMINAL, ORDINAL]})


def rated(*voters, source="s"):
    """Rows of voters, as published tables have them, as records."""
    return [
        (source, [None if v is None else {"class": str(v), "level": v} for v in record])
        for record in zip(*voters, strict=True)
    ]


def test_alpha_as_published():
    """Krippendorff 2011, section E: four observers, twelve units, missing data: nominal 0.743, ordinal 0.815."""
    n = None
    found = agreement(
        SCHEME,
        rated(
            [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
            [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
        ),
    )
    assert found["fields"]["class"]["alpha"] == pytest.approx(0.743, abs=5e-4)
    assert found["fields"]["level"]["alpha"] == pytest.approx(0.815, abs=5e-4)
    # Units 1, 3, 4, 5, 7, 9, 10, 11 of the eleven with two answers or more.
    assert (found["fields"]["class"]["agreed"], found["fields"]["class"]["compared"]) == (8, 11)
    assert (found["voters"], found["records"], found["answered_by_all"]) == (4, 12, 8)


def test_qwk_by_hand():
    """Votes 1 1, 2 2, 3 3, 1 3: the mean squared gap is 4 / 4. By chance, over all 16 pairs of a vote of one and a vote of the
    other: (9 + 3 + 5 + 9) / 16 = 1.625. Kappa = 1 - 1 / 1.625."""
    assert agreement(SCHEME, rated([1, 2, 3, 1], [1, 2, 3, 3]))["fields"]["level"]["qwk"] == 0.3846
    assert "qwk" not in agreement(SCHEME, rated([1, 2], [1, 2]))["fields"]["class"]


def test_qwk_is_the_mean_over_pairs():
    pairs = [([1, 2, 3, 4], [1, 2, 3, 4]), ([1, 2, 3, 4], [1, 3, 2, 4]), ([1, 2, 3, 4], [1, 3, 2, 4])]
    alone = [agreement(SCHEME, rated(*pair))["fields"]["level"]["qwk"] for pair in pairs]
    found = agreement(SCHEME, rated([1, 2, 3, 4], [1, 2, 3, 4], [1, 3, 2, 4]))["fields"]["level"]
    assert alone[0] == 1.0 > alone[1] and found["qwk"] == pytest.approx(sum(alone) / 3, abs=1e-4)


@pytest.mark.parametrize("sure", [0.0, 0.5, 0.8])
def test_simulated_voters_reach_the_alpha_of_their_making(sure):
    """A voter sees the truth with chance a, else guesses: two agree by a^2 + (1 - a^2) / 5, by chance 1 / 5, so alpha = a^2."""
    rng = random.Random(7)
    truth = [rng.randint(1, 5) for _ in range(4000)]
    voters = [[t if rng.random() < sure else rng.randint(1, 5) for t in truth] for _ in range(3)]
    found = agreement(SCHEME, rated(*voters))["fields"]
    assert found["class"]["alpha"] == pytest.approx(sure**2, abs=0.03)
    assert found["level"]["qwk"] == pytest.approx(sure**2, abs=0.04)


def test_what_is_not_defined_is_none_and_all_is_strict_json():
    one = agreement(SCHEME, rated([1, 2, 3]))
    assert one["fields"]["level"] == {
        "compared": 0,
        "agreed": 0,
        "agreed_share": None,
        "alpha": None,
        "qwk": None,
    }
    same = agreement(SCHEME, rated([2, 2, 2], [2, 2, 2]))["fields"]["level"]
    assert (same["alpha"], same["qwk"], same["agreed_share"]) == (None, None, 1.0)
    nobody = agreement(SCHEME, rated([None, 1], [None, None]))
    assert nobody["answered_by_none"] == 1 and nobody["fields"]["class"]["alpha"] is None
    for found in (one, same, nobody, agreement(SCHEME, [])):
        json.dumps(found, allow_nan=False)


def test_sources_stand_for_themselves():
    found = agreement(
        SCHEME, [*rated([1, 2, 3], [1, 2, 3], source="sure"), *rated([1, 2, 3], [3, 1, 2], source="unsure")]
    )
    sources = found["sources"]
    assert sources["sure"]["fields"]["class"]["alpha"] == 1.0 and sources["unsure"]["fields"]["class"]["alpha"] < 0
    assert found["records"] == sources["sure"]["records"] + sources["unsure"]["records"] == 6
    assert sources["unsure"]["fields"]["class"]["alpha"] < found["fields"]["class"]["alpha"] < 1


def test_records_with_another_number_of_voters_are_refused():
    with pytest.raises(ValueError, match="every voter"):
        agreement(SCHEME, [*rated([1], [1]), *rated([1])])

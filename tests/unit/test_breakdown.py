from prediction_rows import labels, row

from mindgauge import breakdown, metrics, predictions


def rows(scheme):
    made = []
    for n in range(40):
        real = labels(n % 4, risk="suicidal" if n % 4 == 3 else "none")
        given = real if n < 30 else labels((n + 1) % 4)
        themes = ["study", "family"] if n < 5 else ["study"] if n < 20 else []
        made.append(
            row(n, real, given, source="a" if n < 30 else "b", themes=themes, length=10 * n, group=f"g{n // 2}")
        )
    return predictions.from_rows(scheme, made)


def test_parts_hold_their_rows_and_their_figures(scheme):
    found = breakdown.breakdown(rows(scheme))
    assert {name: of["n"] for name, of in found["source"].items()} == {"a": 30, "b": 10}
    good, bad = found["source"]["a"], found["source"]["b"]
    assert good["exact_match"] == 1.0 and good["fields"]["depression_level"]["qwk"] == 1.0 and good["groups"] == 15
    assert bad["exact_match"] == 0.0 and bad["fields"]["depression_level"]["accuracy"] == 0.0
    assert (bad["any_risk"]["support"], bad["any_risk"]["recall"], bad["any_risk"]["few"]) == (3, 0.0, True)
    assert bad["any_risk"]["wilson"] == metrics.wilson(0, 3) and not bad["few"]
    assert {name: (of["n"], of["few"]) for name, of in found["theme"].items()} == {
        "family": (5, True),
        "study": (20, False),
    }


def test_length_bands_are_quartiles(scheme):
    found = breakdown.breakdown(rows(scheme))["length"]
    assert {name: of["n"] for name, of in found.items()} == {"0-90": 10, "100-190": 10, "200-290": 10, "300-390": 10}
    assert [of["exact_match"] for of in found.values()] == [1.0, 1.0, 1.0, 0.0]


def test_equal_lengths_stay_together(scheme):
    made = [row(n, labels(), labels(), length=5 if n < 30 else 50 + n) for n in range(40)]
    bands = breakdown.length_bands(predictions.from_rows(scheme, made))
    assert {name: int(mask.sum()) for name, mask in bands.items()} == {"5-5": 30, "80-89": 10}


def test_a_part_says_which_values_it_lacks(scheme):
    made = [row(n, labels(0 if n < 20 else 1), labels(0), source="ab"[n // 20]) for n in range(40)]
    of = breakdown.breakdown(predictions.from_rows(scheme, made))["source"]["b"]["fields"]["depression_level"]
    assert of["absent"] == [0, 2, 3] and of["macro_f1"] == 0.0 and of["qwk"] == 0.0


def test_labels_that_a_part_does_not_have_and_no_row(scheme):
    made = [row(1, labels(), labels()), row(2, {"risk_flag": "none"}, labels(), source="gold")]
    found = breakdown.breakdown(predictions.from_rows(scheme, made))["source"]
    assert list(found["gold"]["fields"]) == ["risk_flag"] and list(found["a"]["fields"]) == list(scheme.names)
    assert breakdown.breakdown(predictions.from_rows(scheme, [])) == {"source": {}, "theme": {}, "length": {}}

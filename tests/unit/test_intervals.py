import time
import warnings

import numpy as np
import pytest
import scipy.stats
from prediction_rows import drawn, labels, risk_rows, row

from mindgauge import intervals, metrics, predictions


def sample_rows(scheme, n=300, each=3, seed=0, unparsable=0.1):
    """Rows in groups of `each`, with answers that are often right."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        reference, other = drawn(scheme, random), drawn(scheme, random)
        given = {name: reference[name] if random.random() < 0.6 else other[name] for name in reference}
        rows.append(row(number, reference, None if random.random() < unparsable else given, group=f"g{number // each}"))
    return rows


def test_estimates_are_the_figures_of_metrics(scheme):
    rows = sample_rows(scheme)
    # Some references have the risk alone.
    for of in rows[:40]:
        of["reference"] = {"risk_flag": of["reference"]["risk_flag"]}
    # And no reference is 3, which is given all the same.
    for of in rows[40:]:
        of["reference"]["depression_level"] %= 3
    found = predictions.from_rows(scheme, rows)
    figures, bounds = metrics.overall(found), intervals.headlines(found, resamples=50)
    seen = 0
    for name, of in bounds.items():
        label, _, figure = name.partition("/")
        expected = {
            "exact_match": figures["exact_match"],
            "any_risk_recall": figures["any_risk"]["recall"],
            "any_risk_false_alarm_rate": figures["any_risk"]["false_alarm_rate"],
            "urgent_recall": figures["urgent"]["recall"],
        }.get(name) or figures["fields"][label][figure]
        assert of["estimate"] == pytest.approx(expected, abs=1e-4), name
        assert of["low"] < of["estimate"] < of["high"] and of["undefined"] == 0, name
        seen += 1
    assert seen == 4 + 3 * 6 + 3


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_intervals_are_those_of_scipy_on_the_same_resamples(scheme, method):
    """Each row a group: what is resampled here as weights is what scipy resamples as rows."""
    values = np.random.default_rng(4).exponential(size=60)
    found = intervals.bootstrap_rows(lambda rows: values[rows].mean(), [f"{n:03}" for n in range(60)], 4000, 1)
    of = intervals.interval(found, method)
    theirs = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=0,
        method={"bca": "BCa"}.get(method, method),
        bootstrap_result=type("Drawn", (), {"bootstrap_distribution": found.resampled})(),
    ).confidence_interval
    assert of["method"] == method
    assert (of["low"], of["high"]) == (pytest.approx(theirs.low, abs=1e-6), pytest.approx(theirs.high, abs=1e-6))


def test_counts_and_rows_give_the_same_resamples(scheme):
    found = predictions.from_rows(scheme, sample_rows(scheme, 60))
    field = scheme["student_distress_score"]

    def qwk(rows):
        of = metrics.field_figures(field, *metrics.label_places(found.take(rows), field.name))
        return of["qwk"]

    by_rows = intervals.bootstrap_rows(qwk, found.groups.tolist(), 40, 7)
    by_counts = intervals.bootstrap(intervals.tallies(found), 40, 7)["student_distress_score/qwk"]
    assert by_counts.resampled == pytest.approx(by_rows.resampled, abs=1e-4)
    assert by_counts.left_out == pytest.approx(by_rows.left_out, abs=1e-4)


def test_the_same_seed_gives_the_same_bounds_whatever_the_order_and_the_chunks(scheme, monkeypatch):
    rows = sample_rows(scheme, 90)
    first = intervals.headlines(predictions.from_rows(scheme, rows), resamples=100)
    assert intervals.headlines(predictions.from_rows(scheme, rows[::-1]), resamples=100) == first
    monkeypatch.setattr(intervals, "CHUNK", 300)
    assert intervals.headlines(predictions.from_rows(scheme, rows), resamples=100) == first
    assert intervals.headlines(predictions.from_rows(scheme, rows), resamples=100, seed=2) != first


def coverage(method, by_group, repeats, groups=60, each=6, true=0.7, seed=11):
    """Share of simulated test sets whose 95 % interval holds the true accuracy. Within a group rows are right together
    with a chance of their own (beta with mean `true`, intraclass correlation 1/3)."""
    random = np.random.default_rng(seed)
    held = 0
    for repeat in range(repeats):
        chance = random.beta(2 * true, 2 * (1 - true), size=groups)
        right = random.random((groups, each)) < chance[:, None]
        hits = right.sum(axis=1) if by_group else right.ravel()
        size = each if by_group else 1
        tally = intervals.Tally(
            np.stack([hits, np.full(len(hits), size)], axis=1).astype(float), {"a": intervals._share}, {"a": len(hits)}
        )
        of = intervals.interval(intervals.bootstrap([tally], 500, repeat)["a"], method)
        held += of["low"] <= true <= of["high"]
    return held / repeats


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_by_group_covers_at_the_nominal_rate(method):
    """400 sets: the share itself has a standard error of 1.1 points."""
    assert 0.915 <= coverage(method, True, 400) <= 0.98


def test_by_row_covers_far_too_seldom():
    """Six rows a group with correlation 1/3: the variance is 1 + 5/3 times what independent rows would have, so an
    interval by row is too narrow by a factor 1.63 and covers with 2 Phi(1.96 / 1.63) - 1 = 77 %."""
    assert 0.70 <= coverage("percentile", False, 200) <= 0.84


def test_figures_of_several_classes_cover_too(scheme):
    """Macro-F1 and kappa of clustered answers, against their values in a population of 40,000 groups."""
    field = scheme["depression_level"]

    def counts(groups, random):
        real = random.choice(4, size=(groups, 1), p=[0.4, 0.3, 0.2, 0.1]).repeat(4, axis=1)
        good = random.random((groups, 1)) < 0.8
        noise = random.integers(0, 4, size=(groups, 4))
        given = np.where(good | (random.random((groups, 4)) < 0.3), real, noise)
        return intervals._summed(
            np.arange(groups), np.arange(groups).repeat(4), (real * 5 + given).ravel(), (groups, 20)
        )

    figures = {name: intervals.confusion_figures(field)[name] for name in ("macro_f1", "qwk")}
    truth = counts(40_000, np.random.default_rng(99)).sum(axis=0)
    held = dict.fromkeys(figures, 0)
    for repeat in range(200):
        tally = intervals.Tally(counts(80, np.random.default_rng(repeat)), figures, dict.fromkeys(figures, 80))
        for name, of in intervals.bootstrap([tally], 400, repeat).items():
            bounds = intervals.interval(of)
            held[name] += bounds["low"] <= figures[name](truth) <= bounds["high"]
    for name, count in held.items():
        assert 0.89 <= count / 200 <= 0.99, name


def test_one_group_has_no_interval(scheme):
    rows = [row(n, labels(n % 4), labels(n % 3), group="one") for n in range(30)]
    for of in intervals.headlines(predictions.from_rows(scheme, rows), resamples=20).values():
        assert of["low"] is None and of["high"] is None and of["method"] is None and of["note"]
        assert "fewer than two groups" in of["note"] or "not defined" in of["note"]


def test_what_never_varies_has_no_interval_that_looks_exact(scheme):
    of = intervals.headlines(risk_rows(scheme, [("suicidal", "suicidal")] * 30), resamples=50)["any_risk_recall"]
    assert of["estimate"] == 1.0 and of["low"] is None and "same value" in of["note"]


def test_resamples_without_a_case_are_left_out_and_counted(scheme):
    cases = [("suicidal", "suicidal"), ("violence", "none"), *[("none", "none")] * 38]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no division by 0 on the way
        bounds = intervals.headlines(risk_rows(scheme, cases), resamples=1000)
    of = bounds["any_risk_recall"]
    # Two of 40 groups hold a case: neither is drawn in (38/40)^40 = 13 % of the resamples.
    assert 90 <= of["undefined"] <= 170 and of["few"] and of["groups"] == 2 and of["cases"] == 2
    assert "left out" in of["note"] and "only 2 groups" in of["note"]
    kappa = bounds["depression_level/qwk"]
    assert kappa["estimate"] is None and kappa["low"] is None and "not defined on these rows" in kappa["note"]


def test_bca_falls_back_where_it_is_not_defined():
    of = intervals.Sample(1.0, np.array([0.8, 0.9, 0.95, 0.7]), np.array([0.9, 0.8]), 50, 50)
    found = intervals.interval(of, "bca")
    assert found["method"] == "percentile" and "BCa is not defined" in found["note"] and found["low"] < found["high"]


def test_no_row_has_no_figure(scheme):
    assert intervals.headlines(predictions.from_rows(scheme, [])) == {}


def test_2000_resamples_of_1000_rows_take_seconds(scheme):
    found = predictions.from_rows(scheme, sample_rows(scheme, 1000, each=1))
    start = time.process_time()
    assert len(intervals.headlines(found)) == 25
    assert time.process_time() - start < 10

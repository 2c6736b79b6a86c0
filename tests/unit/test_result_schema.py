import json
import math

import numpy as np
import pytest
from prediction_rows import drawn, labels, row, sure
from pydantic import BaseModel, ValidationError

from mindgauge import predictions, result_schema
from mindgauge.errors import UserError
from mindgauge.figures import figures, rows_sha256
from mindgauge.result_schema import Part, Prediction, Result


def made(scheme, n=60, start=0, **change):
    random = np.random.default_rng(start)
    rows = []
    for number in range(start, start + n):
        reference, given = drawn(scheme, random), drawn(scheme, random)
        given = given if random.random() < 0.4 else reference
        rows.append(
            row(
                number,
                reference,
                None if number % 20 == 7 else given,
                probabilities=sure(scheme, given, 0.8),
                themes=["study"],
                group=f"g{number // 2}",
                length=number,
                stopped=True,
                **change,
            )
        )
    return rows


def record(scheme, rows, val=None):
    found = predictions.from_rows(scheme, rows)
    of = figures(found, None if val is None else predictions.from_rows(scheme, val), resamples=50)
    return {
        "version": 1,
        "model": "tiny",
        "variant": "Q4_K_M",
        "way": "constrained",
        "reference": "labeller",
        "rows": len(found),
        "rows_sha256": rows_sha256(found),
        "predictions": "predictions.jsonl",
        "predictions_sha256": "0" * 64,
        "model_sha256": "1" * 64,
        "template_sha256": None,
        "prompt_sha256": "2" * 64,
        "labels_sha256": "3" * 64,
        "code_sha256": "4" * 64,
        "versions": {"scikit-learn": "1.9.1"},
        "settings": {"seed": 1, "resamples": 50, "urgent": ["suicidal", "self_harm"], "recall": 0.9},
        "figures": of,
    }


def test_all_figures_fit_the_schema_and_come_back_the_same(tmp_path, scheme):
    rows = made(scheme)
    result = result_schema.checked(record(scheme, rows, made(scheme, 40, 500)))
    assert result.figures.calibration.after and result.figures.breakdown.theme["study"].n == 60
    result_schema.write(tmp_path / "result.json", result)
    assert result_schema.load(tmp_path / "result.json") == result
    before = (tmp_path / "result.json").read_bytes()
    # Computed again from rows in another order: the same bytes.
    again = result_schema.checked(record(scheme, rows[::-1], made(scheme, 40, 500)[::-1]))
    result_schema.write(tmp_path / "result.json", again)
    assert (tmp_path / "result.json").read_bytes() == before


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(1, {"risk_flag": "none"}, None)],
        [row(n, {"risk_flag": "suicidal"}, labels(risk="suicidal")) for n in range(3)],
        [
            row(
                n,
                labels(),
                labels(),
                group="one",
                probabilities={"risk_flag": {"none": 1, "suicidal": 0, "self_harm": 0, "violence": 0}},
            )
            for n in range(12)
        ],
    ],
)
def test_poor_rows_make_a_valid_record_too(scheme, rows):
    """No row; nothing parsed; one class; one group that is always sure."""
    result_schema.dump(result_schema.checked(record(scheme, rows)))


def test_prediction_rows_fit_the_schema(scheme):
    for of in made(scheme, 10):
        back = Prediction.model_validate_json(json.dumps(of)).model_dump()
        assert back == of
        predictions.from_rows(scheme, [back])
    assert set(Prediction.model_fields) == predictions.KEYS
    with pytest.raises(ValidationError):
        Prediction.model_validate({**made(scheme, 1)[0], "input": "…"})


def test_nan_unknown_keys_and_other_types_are_refused(scheme):
    good = record(scheme, made(scheme, 20))
    for path, value in (
        (("figures", "exact_match"), math.nan),
        (("figures", "fields", "risk_flag", "macro_f1"), math.inf),
        (("figures", "intervals", "exact_match", "low"), -math.inf),
        (("figures", "fields", "depression_level", "mae"), math.inf),
        (("figures", "json_valid"), 1.5),
        (("figures", "n"), "20"),
        (("figures", "text"), "…"),
        (("way",), "greedy"),
        (("rows_sha256",), "abc"),
        (("version",), 2),
    ):
        broken = json.loads(json.dumps(good))
        place = broken
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        with pytest.raises(
            UserError, match="no result record: .*" + ("further key" if path[-1] == "text" else path[-1])
        ) as error:
            result_schema.checked(broken, "result.json")
        assert "…" not in error.value.what
    # What was changed after it was checked is checked again.
    result = result_schema.checked(good)
    result.figures.exact_match = math.nan
    with pytest.raises(UserError, match="exact_match"):
        result_schema.dump(result)


def parts(model: type[BaseModel]):
    return [model, *(part for sub in model.__subclasses__() for part in parts(sub))]


def test_every_key_is_described_and_no_key_holds_text():
    for part in parts(Part):
        assert part.__doc__
        for name, field in part.model_fields.items():
            assert field.description, f"{part.__name__}.{name}"
            assert name not in ("text", "input", "instruction", "output")
    assert set(result_schema.documents()) and Result in parts(Part)
    for path, text in result_schema.documents().items():
        assert path.parts[:2] == ("config", "schemas") and json.loads(text)["additionalProperties"] is False

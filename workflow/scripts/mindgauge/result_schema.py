"""The result record: what one variant reached, answering one way, against one reference, as strict JSON with a schema;
and the prediction row, from which every figure in it can be computed again. Neither has a place for the text of a
record."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mindgauge.errors import UserError
from mindgauge.files import read_json, write_json
from mindgauge.records import fault

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Way = Literal["free", "constrained"]
Reference = Literal["labeller", "human"]
# A label's value: a whole number or a word.
Value = int | str


class Part(BaseModel):
    """A part of a record: an unknown key, a value of another type and NaN are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


class Prediction(Part):
    """One row of predictions.jsonl: what was said of one held-out record."""

    id: str = Field(min_length=1, description="The record's id.")
    group: str = Field(min_length=1, description="Its split group; intervals are drawn by group.")
    source: str = Field(min_length=1, description="The source it comes from.")
    themes: list[str] = Field([], description="The themes it touches.")
    length: Count = Field(description="Characters of the text that the model read.")
    reference: dict[str, Value] = Field(
        min_length=1, description="Label -> value by the reference; some labels are enough."
    )
    labels: dict[str, Value] | None = Field(
        description="Label -> value given, all labels; null: the answer cannot be parsed and counts as wrong."
    )
    probabilities: dict[str, dict[str, Share]] | None = Field(
        None, description="Label -> value as a word -> probability, given the labels before it; null: there are none."
    )
    stopped: bool | None = Field(None, description="Whether the model stopped by itself; null: nothing was generated.")


class PerValue(Part):
    """The figures of one value of a label."""

    precision: Share = Field(description="Share of the rows given this value whose reference has it; 0 where none is.")
    recall: Share = Field(description="Share of the cases that were given it; 0 where there is no case (see support).")
    f1: Share = Field(description="Harmonic mean of both.")
    support: Count = Field(description="Cases: rows whose reference has this value.")
    hits: Count = Field(description="Cases that were given it.")
    wilson: Pair | None = Field(description="Wilson's 95 % interval of the recall; null without a case.")
    given: Count = Field(description="Rows that were given this value.")
    precision_wilson: Pair | None = Field(description="Wilson's 95 % interval of the precision; null if never given.")
    few: bool = Field(description="Fewer than 10 cases: its recall says little.")


class FieldFigures(Part):
    """The figures of one label."""

    n: Count = Field(description="Rows whose reference has the label.")
    accuracy: Share = Field(description="Share of rows with the right value.")
    balanced_accuracy: Share = Field(description="Mean recall over the values that the reference has.")
    macro_f1: Share = Field(description="Mean F1 over the values that the reference has.")
    values: list[Value] = Field(description="The label's values in order.")
    absent: list[Value] = Field(description="Values that no row of the reference has.")
    few_values: list[Value] = Field(description="Values with fewer than 10 cases, but some.")
    few: bool = Field(description="Some value has fewer than 10 cases: macro-F1 and balanced accuracy hang on these.")
    confusion: list[list[Count]] = Field(
        description="Rows: values by the reference; columns: values given, and last what cannot be parsed."
    )
    per_value: dict[str, PerValue] = Field(description="Value -> its figures.")
    qwk: float | None = Field(
        None, le=1, description="Ordinal: Cohen's kappa with quadratic weights; null where it is not defined."
    )
    mae: float | None = Field(None, ge=0, description="Ordinal: mean absolute error in units of the values.")
    within1: Share | None = Field(None, description="Ordinal: share of rows at most one value off.")


class Alarm(Part):
    """A collapse of the labels that raise an alarm into yes or no."""

    n: Count = Field(description="Rows whose reference has these labels.")
    support: Count = Field(description="Cases: rows whose reference says yes.")
    hits: Count = Field(description="Cases whose answer says yes.")
    recall: Share | None = Field(description="hits / support; null without a case.")
    wilson: Pair | None = Field(description="Wilson's 95 % interval of the recall.")
    miss_rate: Share | None = Field(description="1 - recall.")
    miss_wilson: Pair | None = Field(description="Wilson's 95 % interval of the miss rate.")
    given: Count = Field(description="Answers that say yes.")
    precision: Share | None = Field(description="hits / given; null if none says yes.")
    precision_wilson: Pair | None = Field(description="Wilson's 95 % interval of the precision.")
    f1: Share | None = Field(description="2 hits / (support + given).")
    false_alarms: Count = Field(description="Answers that say yes where the reference says no.")
    false_alarm_rate: Share | None = Field(description="Their share of the rows whose reference says no.")
    false_alarm_wilson: Pair | None = Field(description="Wilson's 95 % interval of the false-alarm rate.")
    few: bool = Field(description="Fewer than 10 cases.")


class Point(Part):
    """A point on the ROC curve."""

    bound: Share = Field(description="The bound it was looked for at.")
    recall: Share = Field(description="Recall there.")
    false_alarm_rate: Share = Field(description="False-alarm rate there.")
    threshold: float | None = Field(description="Yes from this probability up; null: never yes.")
    wilson: Pair | None = Field(description="Wilson's 95 % interval of the recall, the threshold taken as given.")


class Ranking(Part):
    """What the probability of yes tells, whatever the threshold."""

    n: Count = Field(description="Rows with probabilities.")
    without: Count = Field(description="Rows without, which are left out.")
    support: Count = Field(description="Cases among the n.")
    prevalence: Share = Field(description="support / n: the average precision of chance.")
    roc_auc: Share | None = Field(description="Area under the ROC curve; null without both cases and others.")
    average_precision: Share | None = Field(description="Average precision.")
    at_false_alarm_rate: Point | None = Field(description="Highest recall at a false-alarm rate of at most the bound.")
    at_recall: Point | None = Field(description="Lowest false-alarm rate at a recall of at least the bound.")
    few: bool = Field(description="Fewer than 10 cases, or than 10 others.")


class Rankings(Part):
    """Rankings of the two collapses."""

    any_risk: Ranking | None = Field(description="By the probability of any alarm.")
    urgent: Ranking | None = Field(description="By the probability of an urgent value.")


class Interval(Part):
    """The bootstrap interval of a figure, groups drawn."""

    estimate: float | None = Field(description="The figure on the rows as they are.")
    low: float | None = Field(description="Lower end; null: no interval, see note.")
    high: float | None = Field(description="Upper end.")
    level: Annotated[float, Field(gt=0, lt=1)] = Field(description="Nominal coverage.")
    method: Literal["bca", "percentile"] | None = Field(description="How it was read off the resamples.")
    resamples: Count = Field(description="Resamples drawn.")
    undefined: Count = Field(description="Resamples in which the figure is not defined; left out.")
    groups: Count = Field(description="Split groups that hold a row it hangs on.")
    cases: Count = Field(description="Cases of the rarest class it hangs on.")
    few: bool = Field(description="Fewer than 10 of them.")
    note: str = Field(description="Why there is no interval, or what weakens it; empty if nothing.")


class Bin(Part):
    """A row of a reliability table."""

    low: float = Field(description="Least confidence in the bin.")
    high: float = Field(description="Highest confidence in the bin.")
    confidence: float = Field(description="Mean confidence.")
    accuracy: Share = Field(description="Share that is right (of alarms: share of real cases).")
    n: Count = Field(description="Rows.")
    few: bool = Field(description="Fewer than 10 rows.")


class LabelCalibration(Part):
    """How far a confidence can be believed."""

    n: Count = Field(description="Rows with probabilities and a reference.")
    accuracy: Share = Field(
        description="Share of rows whose likeliest value is right (of alarms: share of real cases)."
    )
    mean_confidence: Share = Field(description="Mean probability of the likeliest value (of alarms: of any alarm).")
    ece: Share = Field(description="Expected calibration error, bins of equal mass.")
    ece_by_chance: Pair = Field(
        description="ECE of perfectly calibrated probabilities on so many rows: mean, 95 % quantile."
    )
    bins: Annotated[int, Field(ge=1)] = Field(description="Bins asked for; ties may make them fewer.")
    brier: float = Field(ge=0, le=2, description="Brier score, 0 (best) to 2; of alarms 0 to 1.")
    nll: float = Field(ge=0, description="Mean negative log-likelihood in nats.")
    reliability: list[Bin] = Field(description="The reliability table.")
    few: bool = Field(description="Fewer than 10 rows (of alarms: cases).")


class Calibrated(Part):
    """Calibration of all labels."""

    fields: dict[str, LabelCalibration | None] = Field(description="Label -> calibration; null without probabilities.")
    any_risk: LabelCalibration | None = Field(description="Of the probability of any alarm.")


class Temperature(Part):
    """A temperature fitted on val."""

    temperature: float = Field(gt=0, description="T; probabilities become p^(1/T), brought to a sum of 1.")
    n: Count = Field(description="Rows of val.")
    at_bound: bool = Field(
        description="The search found no least loss: every row of val right (then T is 1), or no better than chance."
    )
    few: bool = Field(description="Fewer than 10 rows.")


class Calibration(Part):
    """Calibration before and after temperature."""

    temperatures: dict[str, Temperature] = Field(description="Label -> temperature; empty without rows of val.")
    before: Calibrated = Field(description="As the model gives them.")
    after: Calibrated | None = Field(description="At the temperatures; null where none was fitted.")


class OnVal(Part):
    """What a threshold does on the rows of val that it was chosen by."""

    n: Count = Field(description="Rows of val with probabilities.")
    support: Count = Field(description="Cases among them.")
    recall: Share = Field(description="Recall there.")
    false_alarm_rate: Share = Field(description="False-alarm rate there.")


class Threshold(Part):
    """A threshold on the probability of yes, chosen on val, and what it does on the judged rows."""

    bound: Share = Field(description="The false-alarm rate that val was to stay within.")
    threshold: float | None = Field(description="Yes from this probability up; null: never yes.")
    val: OnVal = Field(description="On val.")
    few: bool = Field(description="Fewer than 10 cases, or others, to choose it by.")
    judged: Alarm = Field(description="On the judged rows.")


class Thresholds(Part):
    """Thresholds of the two collapses; null without val, without probabilities, or where val holds no case or nothing else."""

    any_risk: Threshold | None = Field(description="On the probability of any alarm.")
    urgent: Threshold | None = Field(description="On the probability of an urgent value.")


class MainField(Part):
    """The main figures of a label in a part of the rows; as in FieldFigures."""

    n: Count = Field(description="Rows whose reference has the label.")
    accuracy: Share = Field(description="Share of rows with the right value.")
    macro_f1: Share = Field(description="Mean F1 over the values that the reference has here.")
    qwk: float | None = Field(None, le=1, description="Ordinal: quadratic weighted kappa.")
    mae: float | None = Field(None, ge=0, description="Ordinal: mean absolute error.")
    within1: Share | None = Field(None, description="Ordinal: share at most one value off.")
    few: bool = Field(description="Some value has fewer than 10 cases here.")
    absent: list[Value] = Field(description="Values that no row here has: not comparable with parts that have them.")


class MainAlarm(Part):
    """The main figures of any risk in a part of the rows; as in Alarm."""

    n: Count = Field(description="Rows whose reference has the labels.")
    support: Count = Field(description="Cases.")
    hits: Count = Field(description="Cases found.")
    recall: Share | None = Field(description="hits / support.")
    wilson: Pair | None = Field(description="Wilson's 95 % interval of the recall.")
    false_alarm_rate: Share | None = Field(description="False alarms among the other rows.")
    few: bool = Field(description="Fewer than 10 cases.")


class Main(Part):
    """The main figures of a part of the rows."""

    n: Count = Field(description="Rows.")
    groups: Count = Field(description="Split groups.")
    few: bool = Field(description="Fewer than 10 rows.")
    json_valid: Share | None = Field(description="Share of answers that can be parsed.")
    exact_match: Share | None = Field(
        description="Share of rows with every label right that all references of the part have."
    )
    any_risk: MainAlarm | None = Field(description="Any risk.")
    fields: dict[str, MainField] = Field(description="Label -> figures.")


class Breakdown(Part):
    """The main figures by part."""

    source: dict[str, Main] = Field(description="By source.")
    theme: dict[str, Main] = Field(description="By theme; a row of several counts in each.")
    length: dict[str, Main] = Field(description="By length band, `low-high` characters, cut at the quartiles.")


class Figures(Part):
    """All figures of one set of rows against one reference."""

    n: Count = Field(description="Rows.")
    groups: Count = Field(description="Split groups.")
    valid: Count = Field(description="Answers that can be parsed.")
    json_valid: Share | None = Field(description="valid / n.")
    stopped: Count | None = Field(description="Answers that ended by themselves; null: nothing was generated.")
    stop_rate: Share | None = Field(description="stopped / n.")
    exact: Count | None = Field(description="Rows with every label right; null where the references share no label.")
    exact_match: Share | None = Field(description="exact / n.")
    exact_match_wilson: Pair | None = Field(description="Wilson's 95 % interval of it (rows taken as independent).")
    exact_match_of: list[str] = Field(description="The labels it is of: those that every reference has.")
    fields: dict[str, FieldFigures] = Field(description="Label -> figures; labels that no reference has are left out.")
    any_risk: Alarm | None = Field(description="Any alarm; null if no reference has a label that raises one.")
    urgent: Alarm | None = Field(description="The urgent values alone.")
    ranking: Rankings = Field(description="From the probabilities.")
    notes: list[str] = Field(description="What follows from the rows for the figures, as sentences.")
    intervals: dict[str, Interval] = Field(
        description="Headline figure (`<label>/<figure>`, `exact_match` …) -> interval."
    )
    calibration: Calibration | None = Field(description="Calibration; null without probabilities.")
    thresholds: Thresholds = Field(description="Alarms at thresholds chosen on val.")
    breakdown: Breakdown = Field(description="By source, theme and length.")


class Phrase(Part):
    """A part of a sentence."""

    key: str = Field(description="What is said, by its name in the program (gates.WORDS).")
    values: dict[str, str] = Field(description="What is filled in: name -> a number or a name.")


class Words(Part):
    """What a check says, in parts, so that it can be said in another language."""

    reason: list[Phrase] = Field(description="The parts of `reason`.")
    instead: list[Phrase] = Field(description="The parts of `instead`.")


class Check(Part):
    """One gate's outcome."""

    gate: str = Field(description="The gate's name in the config, and of which label.")
    status: Literal["pass", "fail", "undecided"] = Field(description="Outcome.")
    bound: float | None = Field(description="The threshold.")
    figure: float | None = Field(description="What was reached; null: not known.")
    interval: Pair | None = Field(description="Its 95 % interval.")
    cases: Count | None = Field(description="Cases it rests on.")
    reason: str = Field(description="The outcome as a sentence.")
    instead: str = Field(description="What to do; empty if it passed.")
    words: Words = Field(description="Both sentences in parts.")


class Decision(Part):
    """What the gates say of a variant."""

    release: Literal["pass", "fail"] = Field(description="May it be released?")
    reasons: list[Check] = Field(description="Checks that did not pass.")
    checks: list[Check] = Field(description="All checks.")


class Result(Part):
    """The result record: one variant, one way of answering, one reference."""

    version: Literal[1] = Field(1, description="Version of this schema.")
    model: str | None = Field(description="Short name of the model; null for a plain baseline.")
    variant: str = Field(min_length=1, description="base, adapter, merged, f16, a quant, or the name of a baseline.")
    way: Way = Field(description="`free`: greedy generation; `constrained`: held to the valid answers.")
    reference: Reference = Field(
        description="What the figures are agreement with: `labeller` (test, other_view) or `human` (gold)."
    )
    rows: Count = Field(description="Prediction rows behind the figures.")
    rows_sha256: Sha256 = Field(
        description="What was judged (figures.rows_sha256: ids, groups, references); equal means the same rows."
    )
    predictions: str = Field(min_length=1, description="Name of the file of prediction rows beside this record.")
    predictions_sha256: Sha256 = Field(description="Its sha256.")
    model_sha256: Sha256 | None = Field(
        description="sha256 of the model file (or over its files); null for a baseline."
    )
    template_sha256: Sha256 | None = Field(description="sha256 of the chat template; null for a baseline.")
    prompt_sha256: Sha256 | None = Field(description="sha256 of the instruction; null for a baseline.")
    labels_sha256: Sha256 = Field(description="sha256 of the label scheme.")
    code_sha256: Sha256 = Field(description="Hash of the step's code.")
    versions: dict[str, str] = Field(description="Library -> version.")
    settings: dict[str, bool | int | float | str | list[Value] | None] = Field(
        description="What decides the figures beside the rows: seed, resamples, bins, urgent values, bounds of the ranking."
    )
    figures: Figures = Field(description="The figures.")


def checked(values: dict[str, Any], where: str = "result") -> Result:
    """The record in plain data. Raises UserError naming the first key that is wrong."""
    try:
        return Result.model_validate(values)
    except ValidationError as error:
        raise UserError(
            f"this is no result record: {fault(error)}", where=where, instead="config/schemas/result.schema.json"
        ) from None


def dump(result: Result) -> dict[str, Any]:
    """The record as plain data for strict JSON, checked again, since its parts may have been changed. Raises
    UserError."""
    return checked(result.model_dump(mode="json")).model_dump(mode="json")


def write(path: Path, result: Result) -> None:
    """Writes the record as strict JSON (no NaN), the same bytes for the same record. Raises UserError."""
    write_json(path, dump(result))


def load(path: Path) -> Result:
    """The record in a file. Raises UserError if it is not JSON, or no record of this version."""
    return checked(read_json(path), str(path))


def documents() -> dict[Path, str]:
    """The JSON schemas, with the files they belong in, as reference.documents has them."""
    return {
        Path(f"config/schemas/{name}.schema.json"): json.dumps(model.model_json_schema(), indent=2, ensure_ascii=False)
        + "\n"
        for name, model in (("prediction", Prediction), ("result", Result), ("decision", Decision))
    }

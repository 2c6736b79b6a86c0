"""The gates: may a model be released? Each threshold of the config is held against a figure, and every outcome says
why.

Only pydantic is imported: the configuration is read where the figures' libraries may be missing.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mindgauge.shares import FEW

Share = Annotated[float, Field(ge=0, le=1)]
Status = Literal["pass", "fail", "undecided"]
Unit = Literal["share", "number"]
# A part of a sentence: its key in WORDS and what is filled in. The report says the same parts in other languages.
Part = tuple[str, dict[str, str]]
# All that a gate can say. The report's catalogue holds each of these in every language.
WORDS = {
    # What a figure is of.
    "gate_any_risk_recall": "share of risk cases found",
    "gate_false_alarm_rate": "share of rows without risk that raise an alarm",
    "gate_exact_match": "share of rows with every label right",
    "gate_macro_f1": "macro_f1 of {label}",
    "gate_qwk": "qwk of {label}",
    "gate_valid": "share of free answers that are valid JSON in range",
    "gate_stopped": "share of free answers that end by themselves",
    "gate_qwk_drop": "drop of {label}'s kappa against the merged model",
    "gate_qwk_drop_any": "drop of any label's kappa against the merged model",
    "gate_token_ids": "share of prompts that llama.cpp cuts into the trained tokens",
    "gate_template": "the header holds the pinned chat template",
    "gate_end_token": "the header's end token is the trained one",
    "gate_kld_mean": "mean divergence from the merged model, nats a token",
    "gate_same_top": "share of tokens with the merged model's most likely one",
    "gate_logit_difference": "largest difference of a logit from the merged model's",
    "gate_risk_lost": "risk cases that the merged model finds and this one misses",
    "gate_valid_drop": "by how much fewer free answers are valid JSON in range than the merged model's",
    "gate_stopped_drop": "by how much fewer free answers end by themselves than the merged model's",
    # What became of it.
    "gate_no_figure_min": ": there is no figure to hold against the bound (at least {bound})",
    "gate_no_figure_max": ": there is no figure to hold against the bound (at most {bound})",
    "gate_figure": ": {figure}",
    "gate_interval": " (95 % interval {low} to {high})",
    "gate_asked_min": ", at least {bound} is asked",
    "gate_asked_max": ", at most {bound} is asked",
    "gate_worse_end": " of the interval's worse end",
    "gate_no_interval": "; there is no interval to judge",
    "gate_few": "; it rests on {cases} case(s), fewer than {few}",
    "gate_chosen": "on {rows} validation rows {passed} passes, of {names} in this order",
    "gate_chosen_none": "on {rows} validation rows none passes, of {names} in this order",
    "gate_nothing_asked": "no gate is set: nothing was asked of this model",
    # What to do instead.
    "instead_more": "more test rows with such cases, or `undecided: pass` in the gates if you accept not knowing",
    "instead_missed": "look at the missed cases in errors.csv; more or oversampled training rows with risk, another base model",
    "instead_alarms": "look at the false alarms in errors.csv; training rows with negated and figurative mentions",
    "instead_rows": "more training rows, another base model",
    "instead_confusion": "look at its confusion table; more training rows, another base model",
    "instead_free": "serve with grammar.gbnf; check template and end token; train longer",
    "instead_larger": "a larger quant (Q5_K_M, Q6_K, Q8_0), an importance matrix",
    "instead_lost_ids": "; the lost ids stand in comparison.json",
    "instead_grammar": "; serve with grammar.gbnf",
    "instead_files": "convert the merged model again; its tokenizer files and template are those of results/models/<model>/merged",
    "instead_architecture": "convert the merged model again; an architecture that llama.cpp knows",
    "instead_quants": "more quants in quantise.auto; why each failed stands in verify.json",
    "instead_set": "set thresholds in the config's gates",
}
MORE: list[Part] = [("instead_more", {})]
LARGER: list[Part] = [("instead_larger", {})]
# A figure on its bound passes, whatever the last bits of a difference of floats say.
SLACK = 1e-9


class Gates(BaseModel):
    """What a model must reach to be released. A gate that is null is not asked."""

    model_config = ConfigDict(extra="forbid", strict=False, validate_default=True)

    way: Literal["constrained", "free"] = Field(
        "constrained",
        description="The way of answering whose figures are judged. JSON validity and stop rate are always those of free generation: constrained answers are valid by construction.",
    )
    judge: Literal["estimate", "interval"] = Field(
        "estimate",
        description="`estimate`: a figure passes as it is; `interval`: the worse end of its 95 % interval must pass, which asks for more cases.",
    )
    undecided: Literal["fail", "pass"] = Field(
        "fail",
        description="What counts where a figure is missing, or passes on fewer than 10 cases. A figure that does not pass fails, however few.",
    )
    any_risk_recall_min: Share | None = Field(
        0.9, description="Least share of the rows with any risk in which the answer raises an alarm."
    )
    false_alarm_rate_max: Share | None = Field(
        None, description="Highest share of the rows without any risk in which the answer raises an alarm."
    )
    json_valid_min: Share | None = Field(1.0, description="Least share of free answers that are valid JSON in range.")
    stop_rate_min: Share | None = Field(None, description="Least share of free answers that end by themselves.")
    exact_match_min: Share | None = Field(None, description="Least share of rows with every label right.")
    macro_f1_min: dict[str, Share] = Field({}, description="Least macro-F1 of a label.")
    qwk_min: dict[str, Share] = Field({}, description="Least quadratic weighted kappa of an ordinal label.")
    qwk_drop_max: Share | None = Field(
        0.02,
        description="Of a GGUF: how much less kappa it may have, in each ordinal label, than the merged model.",
    )
    risk_lost_max: int | None = Field(
        0, ge=0, description="Of a GGUF: how many risk cases that the merged model finds it may miss."
    )
    free_drop_max: Share | None = Field(
        0.0,
        description="Of a GGUF: how much smaller than the merged model's the share of its free answers may be that are valid JSON, or that end by themselves.",
    )
    full_logit_difference_max: float | None = Field(
        0.05,
        gt=0,
        description="Of the f16 GGUF: the largest difference of any logit from the merged model's. Of a bf16 one eight times that: activations are rounded to 8 bits instead of 11.",
    )
    kld_mean_max: float | None = Field(
        0.1,
        gt=0,
        description="Of a GGUF: the mean Kullback-Leibler divergence (nats a token) of what it predicts from what the merged model predicts.",
    )
    same_top_min: Share | None = Field(
        None,
        description="Of a GGUF: least share of tokens for which it and the merged model hold the same most likely.",
    )


def _shown(value: float, unit: Unit, digits: int = 3) -> str:
    """A figure as a person reads it."""
    return f"{100 * value:.{digits}g} %" if unit == "share" else f"{value:.{digits}g}"


def _sentences(reason: Sequence[Part], instead: Sequence[Part]) -> dict[str, Any]:
    """What a check says: `reason` and `instead` as sentences, and in `words` the parts that they are made of."""
    parts = {"reason": reason, "instead": instead}
    return {
        **{name: "".join(WORDS[key].format(**values) for key, values in of) for name, of in parts.items()},
        "words": {name: [{"key": key, "values": values} for key, values in of] for name, of in parts.items()},
    }


def _check(
    gate: str,
    sense: Literal["min", "max"],
    bound: float,
    figure: float | None,
    cases: int | None,
    interval: list[float] | None,
    *,
    of: Part,
    judge: str = "estimate",
    instead: Sequence[Part],
    unit: Unit = "share",
) -> dict[str, Any]:
    """One gate's outcome. `cases`: how many the figure rests on; `of` names figure and cases in words; `instead`: what to do where
    it fails."""
    found: dict[str, Any] = {
        "gate": gate,
        "bound": bound,
        "figure": figure,
        "interval": interval,
        "cases": cases,
    }
    asked = {"bound": _shown(bound, unit)}
    if figure is None or cases == 0:
        return {**found, "status": "undecided", **_sentences([of, (f"gate_no_figure_{sense}", asked)], MORE)}
    judged = figure
    if judge == "interval" and interval is not None:
        judged = interval[0] if sense == "min" else interval[1]
    good = judged >= bound - SLACK if sense == "min" else judged <= bound + SLACK
    few = cases is not None and cases < FEW
    # Rounded, a figure just beside its bound would look as if it lay on it.
    close = _shown(figure, unit) == _shown(bound, unit)
    said = [of, ("gate_figure", {"figure": _shown(figure, unit, 10 if close and not good else 3)})]
    if interval is not None:
        said.append(("gate_interval", {"low": _shown(interval[0], unit), "high": _shown(interval[1], unit)}))
    said.append((f"gate_asked_{sense}", asked))
    if judge == "interval" and interval:
        said.append(("gate_worse_end", {}))
    if judge == "interval" and interval is None and good:
        return {**found, "status": "undecided", **_sentences([*said, ("gate_no_interval", {})], MORE)}
    if few:
        said.append(("gate_few", {"cases": str(cases), "few": str(FEW)}))
    # Too few cases to trust a good figure; a bad one is bad enough as it is.
    status: Status = "fail" if not good else "undecided" if few else "pass"
    remedies: dict[Status, Sequence[Part]] = {"pass": [], "fail": instead, "undecided": MORE}
    return {**found, "status": status, **_sentences(said, remedies[status])}


def _exact(hits: int | None, n: int | None) -> float | None:
    """The share that is not rounded: 9,999,999 valid answers of 10,000,000 are not all."""
    return hits / n if hits is not None and n else None


def _bounds(figures: Mapping[str, Any], name: str) -> list[float] | None:
    of = (figures.get("intervals") or {}).get(name)
    return None if of is None or of["low"] is None else [of["low"], of["high"]]


def _of_figures(gates: Gates, figures: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The gates on the figures of the way that is judged."""
    of = figures or {}
    checks = []
    risk = of.get("any_risk") or {}
    if gates.any_risk_recall_min is not None:
        checks.append(
            _check(
                "any_risk_recall_min",
                "min",
                gates.any_risk_recall_min,
                _exact(risk.get("hits"), risk.get("support")),
                risk.get("support"),
                risk.get("wilson"),
                of=("gate_any_risk_recall", {}),
                judge=gates.judge,
                instead=[("instead_missed", {})],
            )
        )
    if gates.false_alarm_rate_max is not None:
        without = risk["n"] - risk["support"] if risk else None
        checks.append(
            _check(
                "false_alarm_rate_max",
                "max",
                gates.false_alarm_rate_max,
                _exact(risk.get("false_alarms"), without),
                without,
                risk.get("false_alarm_wilson"),
                of=("gate_false_alarm_rate", {}),
                judge=gates.judge,
                instead=[("instead_alarms", {})],
            )
        )
    if gates.exact_match_min is not None:
        checks.append(
            _check(
                "exact_match_min",
                "min",
                gates.exact_match_min,
                _exact(of.get("exact"), of.get("n")),
                of.get("n"),
                of.get("exact_match_wilson"),
                of=("gate_exact_match", {}),
                judge=gates.judge,
                instead=[("instead_rows", {})],
            )
        )
    for gate, figure, bounds in (
        ("macro_f1_min", "macro_f1", gates.macro_f1_min),
        ("qwk_min", "qwk", gates.qwk_min),
    ):
        for label, bound in bounds.items():
            field = (of.get("fields") or {}).get(label) or {}
            support = [value["support"] for value in (field.get("per_value") or {}).values() if value["support"]]
            # Macro-F1 hangs on the rarest value that the reference has, kappa on the rows.
            cases = (min(support) if figure == "macro_f1" else field.get("n")) if support else None
            checks.append(
                _check(
                    f"{gate}: {label}",
                    "min",
                    bound,
                    field.get(figure),
                    cases,
                    _bounds(of, f"{label}/{figure}"),
                    of=(f"gate_{figure}", {"label": label}),
                    judge=gates.judge,
                    instead=[("instead_confusion", {})],
                    unit="number",
                )
            )
    return checks


def _of_free(gates: Gates, free: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    of = free or {}
    wanted = (
        ("json_valid_min", gates.json_valid_min, "valid"),
        ("stop_rate_min", gates.stop_rate_min, "stopped"),
    )
    return [
        _check(
            gate,
            "min",
            bound,
            _exact(of.get(count), of.get("n")),
            of.get("n"),
            None,
            of=(f"gate_{count}", {}),
            instead=[("instead_free", {})],
        )
        for gate, bound, count in wanted
        if bound is not None
    ]


def _kappas(gates: Gates, comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    if gates.qwk_drop_max is None:
        return []
    kappas = [of for of in comparison.get("differences", []) if of["what"].endswith("/qwk")]
    nothing = {"what": "", "difference": None, "cases": None, "low": None, "high": None}
    return [
        _check(
            ": ".join(filter(None, ["qwk_drop_max", of["what"].removesuffix("/qwk")])),
            "max",
            gates.qwk_drop_max,
            None if of["difference"] is None else -of["difference"],
            of["cases"],
            None if of["low"] is None else [-of["high"], -of["low"]],
            of=("gate_qwk_drop", {"label": of["what"].removesuffix("/qwk")})
            if of["what"]
            else ("gate_qwk_drop_any", {}),
            judge=gates.judge,
            instead=LARGER,
            unit="number",
        )
        for of in kappas or [nothing]
    ]


def _served(fidelity: Mapping[str, Any], parity: float | None) -> list[dict[str, Any]]:
    """Would an app that takes the GGUF alone ask as training did? Always asked: without that no figure holds."""
    wanted = (
        ("token_ids", parity),
        ("template", fidelity.get("template")),
        ("end_token", fidelity.get("end_token")),
    )
    return [
        _check(
            gate,
            "min",
            1.0,
            None if figure is None else float(figure),
            None,
            None,
            of=(f"gate_{gate}", {}),
            instead=[("instead_files", {})],
        )
        for gate, figure in wanted
    ]


def _logits(gates: Gates, fidelity: Mapping[str, Any], full: str | None) -> list[dict[str, Any]]:
    positions, same = fidelity.get("positions"), fidelity.get("same_top")
    wanted: list[tuple[str, Literal["min", "max"], float | None, float | None, str, Unit]] = [
        (
            "kld_mean_max",
            "max",
            gates.kld_mean_max,
            (fidelity.get("kld") or {}).get("mean"),
            "gate_kld_mean",
            "number",
        ),
        (
            "same_top_min",
            "min",
            gates.same_top_min,
            _exact(same, positions),
            "gate_same_top",
            "share",
        ),
    ]
    if full and gates.full_logit_difference_max is not None:
        wanted.append(
            (
                "full_logit_difference_max",
                "max",
                gates.full_logit_difference_max * (8 if full == "bf16" else 1),
                fidelity.get("max_abs_logit"),
                "gate_logit_difference",
                "number",
            )
        )
    return [
        _check(
            gate,
            sense,
            bound,
            figure,
            positions,
            None,
            of=(of, {}),
            instead=LARGER if full is None else [("instead_architecture", {})],
            unit=unit,
        )
        for gate, sense, bound, figure, of, unit in wanted
        if bound is not None
    ]


def verify(
    gates: Gates,
    free: Mapping[str, Any] | None,
    merged_free: Mapping[str, Any] | None,
    comparison: Mapping[str, Any] | None,
    fidelity: Mapping[str, Any] | None,
    parity: float | None,
    *,
    full: str | None,
) -> list[dict[str, Any]]:
    """The checks of a GGUF against the merged model, on the same rows: `free` and `merged_free` are metrics.overall of their free
    answers, `comparison` is comparisons.compare(merged, it), `fidelity` fidelity.Gap.figures and fidelity.header, `parity` the share
    of prompts that llama.cpp cuts into the trained tokens, `full` what it is if it is no quant (`f16` or `bf16`)."""
    now, before = free or {}, merged_free or {}
    checks = [*_served(fidelity or {}, parity), *_logits(gates, fidelity or {}, full)]
    checks += _kappas(gates, comparison or {})
    if gates.risk_lost_max is not None:
        risk = (comparison or {}).get("risk") or {}
        lost = risk.get("lost")
        checks.append(
            _check(
                "risk_lost_max",
                "max",
                gates.risk_lost_max,
                None if lost is None else len(lost),
                # Only what was found before can be lost.
                risk.get("found_by_first"),
                None,
                of=("gate_risk_lost", {}),
                instead=[*LARGER, ("instead_lost_ids", {})],
                unit="number",
            )
        )
    if gates.free_drop_max is not None:
        for count in ("valid", "stopped"):
            shares = [_exact(one.get(count), one.get("n")) for one in (before, now)]
            drop = None if None in shares else shares[0] - shares[1]  # type: ignore[operator]
            checks.append(
                _check(
                    f"free_drop_max: {count}",
                    "max",
                    gates.free_drop_max,
                    drop,
                    now.get("n"),
                    None,
                    of=(f"gate_{count}_drop", {}),
                    instead=[*LARGER, ("instead_grammar", {})],
                )
            )
    return checks


def chosen(choice: Mapping[str, Any]) -> dict[str, Any]:
    """The check of the quant AUTO by choosing.choose's choice.json: did one of those tried pass on the validation rows?"""
    names, passed = ", ".join(one["name"] for one in choice["tries"]), choice["passed"]
    tried = {"rows": str(choice["rows"]), "names": names}
    said = ("gate_chosen", {**tried, "passed": passed}) if passed else ("gate_chosen_none", tried)
    return {
        "gate": "auto",
        "bound": None,
        "figure": None,
        "interval": None,
        "cases": choice["rows"],
        "status": "pass" if passed else "fail",
        **_sentences([said], [] if passed else [("instead_quants", {})]),
    }


def outcome(gates: Gates, checks: Sequence[Mapping[str, Any]]) -> Literal["pass", "fail"]:
    """What the checks come to: whether one of them stands in the way."""
    stands = {"fail", "undecided"} if gates.undecided == "fail" else {"fail"}
    return "fail" if any(check["status"] in stands for check in checks) else "pass"


def decide(
    gates: Gates,
    figures: Mapping[str, Mapping[str, Any] | None],
    verified: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """`release` (`pass` or `fail`), `reasons` (the checks that stand in its way, or that were let through undecided)
    and `checks` (all, in a fixed order), ready for strict JSON and for result_schema.Decision.

    `figures`: way of answering (`free`, `constrained`) -> metrics.overall or figures.figures of one reference, or None.
    `verified`: of a GGUF what `verify` found. A check: `gate`, `status`,
    `bound`, `figure`, `interval`, `cases`, `reason` (a sentence), `instead` (what to do) and `words` (both in parts). With no gate at all
    nothing was asked, which is undecided as well.
    """
    checks = [
        *_of_figures(gates, figures.get(gates.way)),
        *_of_free(gates, figures.get("free")),
        *verified,
    ]
    if not checks:
        checks = [
            {
                "gate": "none",
                "status": "undecided",
                "bound": None,
                "figure": None,
                "interval": None,
                "cases": None,
                **_sentences([("gate_nothing_asked", {})], [("instead_set", {})]),
            }
        ]
    return {
        "release": outcome(gates, checks),
        "reasons": [check for check in checks if check["status"] != "pass"],
        "checks": checks,
    }


def said(decision: dict[str, Any]) -> str:
    """A decision of the gates in a sentence."""
    if decision["release"] == "pass" and not decision["reasons"]:
        return "release: pass"
    reasons = "; ".join(check["reason"] for check in decision["reasons"])
    return f"release: {decision['release']} ({reasons})"

"""From student records to supervised rows, as the rules run it, with the keyword labeller."""

from pathlib import Path

from mindgauge import labellers, labelling, sft
from mindgauge.labels import Scheme


def supervise(made: dict[str, Path], scheme: Scheme, instruction: str = "instruction") -> None:
    """Fills the entries `label`, `labels` and `sft` of `made` from `minimise` and `split`."""
    labellers.label(
        {"minimise": made["minimise"]},
        made["label"],
        None,
        backend="keywords",
        labels=scheme.to_dict(),
        buckets=[f"{number:02x}" for number in range(256)],
        options={},
        pace={},
    )
    labelling.merge(
        made["minimise"],
        {"0-keywords": [made["label"]]},
        made["labels"],
        voters={"0-keywords": {"backend": "keywords", "instruction": None}},
        vote="majority",
        min_confidence=0.0,
        audit_per_class=5,
        labels=scheme.to_dict(),
    )
    inputs = {"minimise": made["minimise"], "split": made["split"], "labels": made["labels"]}
    sft.make(
        inputs,
        made["sft"],
        view="client",
        instruction=instruction,
        val=0.08,
        test=0.2,
        seed=1,
        min_per_class=10,
        oversample_risk=1,
        leave_out_below=0.0,
        labels=scheme.to_dict(),
    )

"""The bundle: what a phone or server team takes away with a quant."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from mindgauge.answers import gbnf, json_schema
from mindgauge.chat import END_TOKENS
from mindgauge.errors import UserError
from mindgauge.files import files_below, read_json, sha256_file, write_json, write_text
from mindgauge.gates import said
from mindgauge.labels import Scheme
from mindgauge.licences import notices, refuse_text, restricted
from mindgauge.progress import Progress
from mindgauge.records import read_records
from mindgauge.views import NAMES

LIMITS = """A screening aid, not a diagnosis: its labels are impressions from text and are to be read by a trained person, who decides.
It misses cases: the table says how many of those with a risk it found, and on which rows. Do not use it to punish, rank or exclude anyone.
In a crisis do not wait for any score. Mainland China: psychological aid 12356, police 110, ambulance 120; a site sets its own numbers."""

# What the model reads, by the view it was trained on.
READS = {
    "client": "what the student says, a line a turn,",
    "dialogue": f"the dialogue, a line a turn with who speaks ({'：, '.join(NAMES.values())}：),",
}

# Go template of Ollama for a single user turn, a family; the same tokens as config/templates/<family>.jinja.
OLLAMA = {
    "deepseek-r1": '{{- range .Messages }}{{ if eq .Role "user" }}<｜User｜>{{ .Content }}{{ else }}<｜Assistant｜>{{ .Content }}<｜end▁of▁sentence｜>{{ end }}{{ end }}<｜Assistant｜>',
    "qwen3": "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "llama3": "{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
    "gemma3": '{{- range .Messages }}<start_of_turn>{{ if eq .Role "assistant" }}model{{ else }}user{{ end }}\n{{ .Content }}<end_of_turn>\n{{ end }}<start_of_turn>model\n',
    "mistral": '{{- range .Messages }}{{ if eq .Role "user" }}[INST] {{ .Content }}[/INST]{{ else }}{{ .Content }}</s>{{ end }}{{ end }}',
}


def modelfile(gguf: str, family: str, context: int) -> str:
    """An Ollama Modelfile (format: ollama, docs/modelfile.md): greedy, with the family's template and end token."""
    return (
        f"FROM ./{gguf}\n"
        f'TEMPLATE """{OLLAMA[family]}"""\n'
        f"PARAMETER temperature 0\nPARAMETER num_ctx {context}\nPARAMETER num_predict 96\n"
        f'PARAMETER stop "{END_TOKENS[family]}"\n'
    )


def _figures(metrics: dict[str, Any], scheme: Scheme) -> str:
    lines = ["| label | macro-F1 | accuracy | QWK | within 1 |", "|---|---|---|---|---|"]
    for name, of in metrics["fields"].items():
        cells = [
            f"{of[key]:.3f}" if of.get(key) is not None else "–" for key in ("macro_f1", "accuracy", "qwk", "within1")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    risk = metrics.get("any_risk")
    if risk and risk["support"]:
        low, high = risk["wilson"]
        few = "; fewer than 10 cases, so this says little" if risk["support"] < 10 else ""
        lines.append(
            f"\nOf {risk['support']} rows with any risk it flags {risk['recall']:.0%} (95 % interval {low:.0%} to {high:.0%}{few})."
        )
    if metrics["exact_match"] is not None:
        lines.append(f"\nAll labels right: {metrics['exact_match']:.1%} of {metrics['n']} rows.")
    return "\n".join(lines)


def card(
    model: str,
    quant: str,
    stanza: dict[str, Any],
    sources: dict[str, Any],
    metrics: dict[str, Any],
    decision: dict[str, Any],
    scheme: Scheme,
    notice: str,
    view: str,
) -> str:
    """The model card: YAML header as the hub reads it, figures, limits of use."""
    header = ["---", "language: zh", "license: other", f"license_name: {json.dumps(stanza['licence'])}"]
    if stanza["hub"]:
        header.append(f"base_model: {stanza['hub']}")
    header += ["library_name: gguf", "pipeline_tag: text-generation", "tags: [screening, mental-health, gguf]", "---"]
    held = {name: of["figures"] for name, of in metrics["results"]["constrained"].items()}
    free = metrics["results"]["free"]["test"]["figures"]
    gold = held.get("gold")
    parts = [
        "\n".join(header),
        f"# {model} ({quant})",
        f"**{notice}**" if notice else "",
        "**Its gates say fail: not to be used with people. It was bundled by name all the same.**"
        if decision["release"] == "fail"
        else "",
        "Reads what a student says and answers with one line of JSON: " + ", ".join(scheme.names) + ".",
        "## Limits of use\n" + LIMITS,
        "## Release\nBy the gates of its makers, " + said(decision) + ".",
        f"## Agreement with the labeller, on {held['test']['n']} held-out rows\nAnswers held to exactly the valid ones; without the grammar {free['json_valid']:.1%} are valid JSON in range.\n\n"
        + _figures(held["test"], scheme),
        f"## Agreement with human labels, on {gold['n']} gold rows\n" + _figures(gold, scheme) if gold else "",
        f"## How to ask\nThe prompt is `prompt.txt`, one line end, and {READS[view]} as one user turn in `chat_template.jinja`. "
        "Greedy decoding; `grammar.gbnf` allows exactly the valid answers, `schema.json` describes them, `Modelfile` is for Ollama. "
        "In a clone of MindGauge: `python workflow/scripts/assess.py --model <this directory>`, which reads `bundle.json`.",
        "## Data and licences\nTrained on: "
        + "; ".join(f"{name} ({of['licence']})" for name, of in sources.items())
        + ". Their notices are in NOTICES.md.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def bundle(
    inputs: dict[str, Path],
    out: Path,
    *,
    model: str,
    quant: str,
    stanza: dict[str, Any],
    template: str,
    instruction: str,
    labels: dict[str, Any],
    sources: dict[str, Any],
    notice: str,
    despite_gates: bool,
) -> None:
    """Writes the bundle's files. It holds no text of any record; of a source whose text may not be passed on that is looked for
    (`inputs["minimise"]`), and a UserError names it. Notices are of the sources that were trained on. Raises UserError if the gates
    say fail, unless it is made `despite_gates`: then the card says so."""
    scheme = Scheme.from_dict(labels)
    decision = read_json(inputs["judge"] / "gates.json")[quant]
    if decision["release"] == "fail" and not despite_gates:
        raise UserError(
            f"the gates refuse {model} {quant}: {'; '.join(check['reason'] for check in decision['reasons'])}",
            where=f"results/models/{model}/eval/gates.json",
            instead=f"what stands there beside each reason; or, in the knowledge of it, `bundle: {{despite_gates: [{model}/{quant}]}}` in the config",
        )
    # Of AUTO the one that was chosen: what leaves is called what it is.
    made = read_json(inputs["quantise"] / "tensors.json")["quant"]
    gguf = f"{model}-{made}.gguf"
    try:
        os.link(inputs["quantise"] / "model.gguf", out / gguf)
    except OSError:  # another file system
        shutil.copyfile(inputs["quantise"] / "model.gguf", out / gguf)
    metrics = read_json(inputs["evaluate"] / "metrics.json")
    sft = read_json(inputs["sft"] / "stats.json")
    trained = sft["splits"]
    used = {
        name: of for name, of in sources.items() if any(name in trained[split]["sources"] for split in ("train", "val"))
    }
    write_text(out / "prompt.txt", instruction + "\n")
    write_text(out / "chat_template.jinja", template)
    write_text(out / "grammar.gbnf", gbnf(scheme))
    # Not write_json, which sorts: who generates by a schema writes the labels in its order, which must be the trained one.
    write_text(out / "schema.json", json.dumps(json_schema(scheme), ensure_ascii=False, indent=2) + "\n")
    write_text(out / "Modelfile", modelfile(gguf, stanza["family"], stanza["context"]))
    # All that asking takes beside weights, prompt and template, so that a bundle needs no config of ours.
    write_json(
        out / "bundle.json",
        {
            "model": model,
            "quant": made,
            "family": stanza["family"],
            "context": stanza["context"],
            "view": sft["view"],
            "release": decision["release"],
            "labels": scheme.to_dict(),
        },
    )
    write_text(out / "README.md", card(model, made, stanza, used, metrics, decision, scheme, notice, sft["view"]))
    base = f"Base model: {stanza['hub'] or 'local directory'}, licence {stanza['licence']}"
    write_text(out / "NOTICES.md", notices(base, used))
    write_json(out / "metrics.json", metrics)
    records = Progress(read_records(inputs["minimise"] / "unified_min.jsonl"), what="records compared")
    refuse_text(files_below(out), records if restricted(sources) else (), sources)
    write_text(out / "checksums.txt", "".join(f"{sha256_file(path)}  {path.name}\n" for path in files_below(out)))

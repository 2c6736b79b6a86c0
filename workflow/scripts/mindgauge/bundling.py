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
from mindgauge.labels import Scheme
from mindgauge.licences import notices, refuse_text, restricted
from mindgauge.model_card import card
from mindgauge.progress import Progress
from mindgauge.records import read_records

# Go template of Ollama for a single user turn, a family; the same tokens as config/templates/<family>.jinja.
OLLAMA = {
    "deepseek-r1": '{{- range .Messages }}{{ if eq .Role "user" }}<｜User｜>{{ .Content }}{{ else }}<｜Assistant｜>{{ .Content }}<｜end▁of▁sentence｜>{{ end }}{{ end }}<｜Assistant｜>',
    "qwen3-instruct": "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
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

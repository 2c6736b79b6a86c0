"""Makes tiny base models of true architecture with random weights: stand-ins for the hub's in the demo and the tests."""

import argparse
import logging
from pathlib import Path

from mindgauge import tiny_models
from mindgauge.answers import all_answers
from mindgauge.labels import Scheme

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/tiny"), help="each model becomes a directory in it")
    parser.add_argument("--sample", type=Path, default=Path("data/sample"), help="text the vocabularies are learnt from")
    parser.add_argument("models", nargs="*", default=["tiny-qwen2", "tiny-llama"], help=f"which ones: {', '.join(tiny_models.FAMILIES)}")
    arguments = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    scheme = Scheme.load(Path("config/labels.yaml"))
    extra = scheme.instruction(Path("config/prompts/min_instruction.txt").read_text(encoding="utf-8")) + "\n" + "\n".join(all_answers(scheme)[::37])
    for name in arguments.models:
        tiny_models.make(name, arguments.sample, extra, arguments.out / name)
        print(f"tiny model {name}: {arguments.out / name}", flush=True)

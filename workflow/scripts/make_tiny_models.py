"""Makes tiny base models of true architecture in seconds: stand-ins for the hub's in the demo and the tests."""

import argparse
import logging
from pathlib import Path

from mindgauge import tiny_models
from mindgauge.answers import all_answers
from mindgauge.labels import Scheme

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/tiny"), help="each model becomes a directory in it")
    parser.add_argument(
        "--sample", type=Path, default=Path("data/sample"), help="text the vocabularies are learnt from"
    )
    parser.add_argument(
        "--steps", type=int, default=tiny_models.STEPS, help="steps of next-token training on the sample's text"
    )
    parser.add_argument(
        "models", nargs="*", default=["tiny-qwen2", "tiny-llama"], help=f"which ones: {', '.join(tiny_models.FAMILIES)}"
    )
    arguments = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    answers = all_answers(Scheme.load(Path("config/labels.yaml")))
    for name in arguments.models:
        tiny_models.make(name, arguments.sample, answers, arguments.out / name, arguments.steps)
        print(f"tiny model {name}: {arguments.out / name}", flush=True)

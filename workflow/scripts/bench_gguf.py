"""Size, peak memory and tokens a second of GGUF files on this machine's cores, as the report's phone view has them: close what else is
running first."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from mindgauge import bench
from mindgauge.config import Bench, Model
from mindgauge.step import exit_on_user_error


def table(found: dict[str, Any]) -> str:
    """The figures as text: a line a file and number of threads."""
    where, lines = found["machine"], []
    for name, of in found["variants"].items():
        lines.append(f"{name}: {of['size_bytes'] / 1e6:.1f} MB")
        for one in of["measured"]:
            memory = one["memory"]
            lines.append(
                f"  threads {one['threads']}: prompt of {one['prompt_tokens']} tokens {one['prompt']['median']:.1f}/s, "
                f"generation {one['generation']['median']:.1f}/s, both {one['answer_seconds']:.2f} s, "
                f"peak memory {(memory['peak_bytes'] - memory['before_bytes']) / 1e6:.1f} MB"
                + ("; others used the cores, so this is too slow" if one["disturbed"] else "")
            )
    lines += [f"threads {of['threads']}: left out, {of['reason']}" for of in found["left_out"]]
    lines.append(
        f"{where['cpu']}, {where['cores_allowed']} of {where['cores']} cores, llama-cpp-python {where['llama_cpp_python']} ({where['llama_cpp_features']})"
    )
    return "\n".join(lines)


def positive(text: str) -> int:
    """A whole number from 1 on, of an argument."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    of, context = Bench(), Model.model_fields["context"].default
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path, nargs="+", metavar="GGUF", help="a GGUF file")
    parser.add_argument(
        "--threads",
        type=positive,
        nargs="+",
        default=of.threads,
        metavar="N",
        help="numbers of threads (default: 1 2 4)",
    )
    for name in ("prompt_tokens", "generated_tokens", "repetitions"):
        default = getattr(of, name)
        flag, text = f"--{name.replace('_', '-')}", f"{name.replace('_', ' ')} (default: {default})"
        parser.add_argument(flag, type=positive, default=default, metavar="N", help=text)
    parser.add_argument(
        "--context", type=positive, default=context, metavar="N", help=f"tokens of the context (default: {context})"
    )
    parser.add_argument("--json", action="store_true", help="print all that was measured as JSON")
    arguments = parser.parse_args()
    workload = bench.Workload(
        arguments.prompt_tokens, arguments.generated_tokens, arguments.repetitions, context=arguments.context
    )
    with exit_on_user_error():
        files = {str(path): path for path in arguments.gguf}
        measured = bench.measure(files, workload, arguments.threads, os.cpu_count() or 1)
        print(json.dumps(measured, ensure_ascii=False, indent=2) if arguments.json else table(measured))

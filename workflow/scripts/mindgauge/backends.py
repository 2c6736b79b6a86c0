"""The labellers' backends: what each runs on, what it reads, and which of its options decide a label or only its pace.

A new backend is a module in `labellers`, a line here, and its name in `config.Backend`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Backend:
    """`module` has the function `label`; `group` is its group of packages; `reads` names the option with a file or directory it
    reads, `decide` the options its labels follow from, `pace` those that make it faster or slower. `prompted`: it is asked with
    an instruction, and its answers are dear enough to be kept one by one."""

    module: str
    group: str
    reads: str | None = None
    decide: tuple[str, ...] = ()
    pace: tuple[str, ...] = ()
    prompted: bool = False


ASKED = ("decoding", "thinking", "max_thought", "temperature", "seed")
HELD = ("context", *ASKED)
BACKENDS = {
    "keywords": Backend("mindgauge.labellers.keyword_rules", "data"),
    "llama-cpp": Backend("mindgauge.labellers.llama_cpp", "gguf", "model", HELD, ("batch_size",), True),
    "transformers": Backend("mindgauge.labellers.transformers", "torch", "model", HELD, ("batch_size",), True),
    "openai": Backend(
        "mindgauge.labellers.openai_server",
        "server",
        None,
        ("model", "server_grammar", *ASKED),
        ("url", "concurrency", "timeout", "retries"),
        True,
    ),
    "file": Backend("mindgauge.labellers.label_file", "data", "file"),
}

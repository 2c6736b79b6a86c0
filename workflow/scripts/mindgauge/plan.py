"""The plan: for every entry its recipe, that is what decides it. The rules ask it for stamps; it asks the gates.

One method a step. `Plan.entry` names the stamp of an entry, `Plan.needs` what its job must wait for.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from mindgauge import footprint, known_code, packing, raw, readers, withdrawals
from mindgauge.architecture import Architecture
from mindgauge.backends import BACKENDS
from mindgauge.config import TRAIN_PACE, Settings, Voter, read_yaml
from mindgauge.errors import UserError
from mindgauge.files import sha256_file, write_text
from mindgauge.hashing import digest
from mindgauge.licences import refuse_sources
from mindgauge.lock import project_version
from mindgauge.memo import FileMemo, Memo
from mindgauge.pages import PAGES
from mindgauge.progress import tell
from mindgauge.quants import AUTO, FULL, WITH_IMATRIX, WITHOUT_IMATRIX
from mindgauge.recipe import STAMPS, Input, Recipe
from mindgauge.shareable import without_places
from mindgauge.store import Store

GATES = Path("results/.gates")
MODELS_LOCK = Path("config/models.lock.yaml")
# What is asked beside gates: the pins of base models, which a run itself may add to.
PINS = (str(MODELS_LOCK), None)
VARIANTS = ("base", "adapter", "merged")
# The files of a step that have a page for Snakemake's viewer (the rules mark it by `report`).
PAGED = {
    "ingest": {"stats.json"},
    "unify": {"stats.json"},
    "minimise": {"stats_min.json"},
    "split": {"stats_split.json"},
    "merge_labels": {"stats.json", "gold.json"},
    "make_sft": {"stats.json"},
    "train": {"train_results.json", "eval_results.json", "run.json"},
    "merge": {"merge_check.json"},
    "evaluate": {"metrics.json"},
    "baselines": {"majority/metrics.json", "tfidf/metrics.json"},
    "judge": {"comparison.json", "gates.json", "verify.json"},
    "bench": {"bench.json"},
}
# The named targets of the Snakefile beside `all`: the steps whose views each makes.
TARGETS = {
    "data": ("ingest", "unify", "minimise", "split"),
    "labels": ("minimise", "merge_labels"),
    "sft": ("make_sft",),
    "export": ("export",),
    "train": ("train",),
    "gguf": ("convert", "imatrix", "quantise", "bundle"),
    "evaluate": ("evaluate", "baselines", "judge", "bench"),
    "report": ("report",),
}

# A view below results/, the step and names of the entry it shows, and the file of that.
View = tuple[str, str, tuple[str, ...], str]
# Parameters that are reckoned with where a base's config.json does not tell its shape.
UNKNOWN_SIZE = 4_000_000_000

# The step whose entry a gate tells of; of the gates of bases and raw files their name has it.
MAKERS = {"minimised": "minimise", "labels": "merge_labels", "sft": "make_sft"}


def maker(gate: str) -> tuple[str, ...]:
    """The step and names of the entry behind a gate (`raw/<name>` has none)."""
    kind, _, of = gate.partition("/")
    return (kind, of) if of else (MAKERS[kind],)


@cache
def gate_file(name: str) -> str:
    """The fixed path of a gate: `minimised`, `labels`, `sft`, `base/<model>`, `raw/<source>`."""
    return str(GATES / f"{name}.json")


def labeller_files(voter: Voter) -> tuple[str, str, str] | None:
    """The file or directory a labeller reads, the name it has among the raw files (by its path, so that voters share it), and
    the option that says it; None if it reads none."""
    option = BACKENDS[voter.backend].reads
    if option is None:
        return None
    path = str(getattr(voter, option))
    return path, f"labeller_{digest(path)[:8]}", option


class Plan:
    """Recipes from the settings and the gates. A recipe is worked out once for each state of the gates it asks.

    `gate` returns what a gate says, which must hold a fact if one is named, as the same object while it says the same; inside
    Snakemake it goes through the checkpoint, so that it raises until that has run.
    `main` is whether this is Snakemake's main process: only that one writes.
    """

    def __init__(
        self, settings: Settings, gate: Callable[[str, str | None], dict[str, Any]], *, main: bool = True
    ) -> None:
        self.settings, self.main = settings, main
        config = settings.config
        self.store = Store(Path(os.environ.get("MINDGAUGE_STORE") or config.store), group=config.store_group)
        self.labels = settings.scheme.to_dict()
        pins = FileMemo(read_yaml)
        # A gate and a fact, or PINS.
        self._memo: Memo[tuple[str, str | None]] = Memo(
            lambda asked: pins(MODELS_LOCK) if asked == PINS else gate(*asked)
        )
        self._written: set[str] = set()
        self._awaited: set[str] = set()
        self._told: set[str] = set()

    # What rules ask

    def entry(self, step: str, *names: str) -> str:
        """The stamp of an entry. Its recipe is written; an entry that is in the store is stamped, and a stamp whose
        entry is gone is taken away, so that Snakemake's own existence check decides."""
        recipe = self.recipe(step, *names)
        where, stamp = recipe.where, f"{STAMPS}/{recipe.where}"
        if self.main:
            if where not in self._written:
                recipe.write(self.store.root, self.store.group)
                known_code.keep()
                self._written.add(where)
            # Asked for every job that reads it: no Path is made on the way.
            made, stamped = self.store.has(where), os.path.exists(stamp)
            if not made:
                self._awaited.add(stamp)
            if step == "train" and not made:
                self._fits(*names)
            if made and not stamped:
                write_text(Path(stamp), where + "\n")
            elif stamped and not made:
                os.unlink(stamp)
        return stamp

    def awaits(self, file: str) -> bool:
        """Is a file the stamp of an entry that was not there when it was first asked for, so that a job of this run makes it?

        Such a stamp must not be `ancient`. From when the job has stamped its entry until Snakemake knows that the job has ended
        (on a cluster up to a minute), what waits for an ancient stamp looks done: a gate that runs meanwhile has the DAG worked out
        anew, and the rest of the chain falls out of the run (https://github.com/snakemake/snakemake/pull/668 has the condition).
        """
        return file in self._awaited

    def needs(self, step: str, *names: str) -> list[str]:
        """The stamps of the entries a step reads, and the files of all gates that were asked on the way.

        Who asks a gate must list its file too: only direct dependants of a checkpoint are looked at again after it ran.
        """
        with self._memo.look():
            recipe = self.recipe(step, *names)
            sources = [*recipe.inputs.values(), *(item for items in recipe.lists.values() for item in items)]
            made = [of.where.split("/") for of in sources if of.where and not of.identity.startswith("content:")]
            stamps = dict.fromkeys(self.entry(kind, *of) for kind, *of, _ in made)
            return [*stamps, *self.gates(step, *names)]

    def gates(self, step: str, *names: str) -> list[str]:
        """The files of the gates that were asked for the key of an entry."""
        asked = self._planned(step, *names)[1]
        return sorted({gate_file(gate) for gate, fact in asked if (gate, fact) != PINS})

    def raws(self) -> list[str]:
        """The names of all raw files: sources, labellers' files, local base models."""
        config = self.settings.config
        files = [labeller_files(voter) for voter in self.settings.voters.values()]
        found = [*config.sources, *dict.fromkeys(of[1] for of in files if of)]
        return found + [f"base-{model}" for model in self.bases() if self.settings.model(model).path is not None]

    def bases(self) -> list[str]:
        """The models whose base is fetched: a base that is trained with several seeds is one."""
        return list(dict.fromkeys(map(self.settings.stanza, self.settings.names)))

    def raw_changed(self) -> bool:
        """Were raw files hashed before that are others now? What is missing or wrong is told where it is needed."""
        for name in self.raws():
            try:
                if Path(gate_file(f"raw/{name}")).is_file() and not raw.known(name, self.raw_token(name)):
                    return True
            except UserError:
                continue
        return False

    def wanted_gates(self) -> list[str]:
        """The files of all gates that the configuration's sources, labeller and models ask for."""
        raws = self.raws()
        names = [f"raw/{name}" for name in raws] + [f"base/{model}" for model in self.bases()]
        return [gate_file(name) for name in [*names, "minimised", "labels", "sft"]]

    def raw_token(self, name: str) -> str:
        """The file that stands for the content of a source, or of a local base model (`base-<model>`), in the DAG."""
        path, key = self._raw_place(name)
        source = self.settings.config.sources.get(name)

        def check() -> None:
            if source is not None:
                readers.check(source.reader, path, name, source.names)

        return raw.token_file(name, path, key, check, main=self.main)

    def raw_sha256(self, name: str) -> str:
        """The hash that the gate of raw files tells: as it is remembered, or computed."""
        if (known := raw.remembered(name, self.raw_token(name))) is not None:
            return known
        return raw.content_of(self._raw_place(name)[0])

    def _raw_place(self, name: str) -> tuple[Path, str]:
        """Where raw files lie, and the key of the config that says so."""
        if name.startswith("base-"):
            model = name.removeprefix("base-")
            return Path(str(self.settings.model(model).path)), f"models.{model}.path"
        if name.startswith("labeller_"):
            found = (labeller_files(voter) for voter in self.settings.voters.values())
            where, _, option = next(of for of in found if of and of[1] == name)
            return Path(where), f"label.{option}"
        return Path(self.settings.config.sources[name].path), f"sources.{name}.path"

    def recipe(self, step: str, *names: str) -> Recipe:
        """The recipe of an entry. Raises UserError for a name that does not exist, and whatever a gate raises."""
        return self._planned(step, *names)[0]

    def _planned(self, step: str, *names: str) -> tuple[Recipe, tuple[tuple[str, str | None], ...]]:
        """The recipe of an entry, and what was asked for it."""

        def compute() -> Recipe:
            method = getattr(self, f"_{step}")
            group, params, inputs, lists, *further = method(*names)
            return Recipe(step, names, group, params, inputs, lists, **(further[0] if further else {}))

        return self._memo.result((step, *names), compute)

    def parameters(self, model: str) -> int:
        """How many parameters the base of a model has, as its gate tells; UNKNOWN_SIZE if its architecture is not known."""
        found = self._gate(f"base/{self.settings.stanza(model)}", "architecture")["facts"]["architecture"]
        return int(found["parameters"]) if found else UNKNOWN_SIZE

    def _known_training(self, model: str) -> "tuple[Architecture, footprint.Rows] | None":
        """What the estimate of a training's memory is made from; None if the site's GPU or the architecture is not known."""
        if self.settings.config.site.gpu_memory_gib is None:
            return None
        facts = self._gate(f"base/{self.settings.stanza(model)}", "architecture")["facts"]
        if not facts["architecture"]:
            return None
        characters = self._gate("sft", "longest_row")["facts"]["longest_row"]
        context, instruction = self.settings.model(model).context, len(self.settings.instruction)
        rows = footprint.Rows.of(characters, instruction, facts["tokens_a_character"], context)
        return Architecture(**facts["architecture"]), rows

    def _fits(self, model: str) -> None:
        """Tells, before a job waits for a GPU, if the site's is too small to train a model as it is asked for. Raises UserError if
        smaller batches would not do either."""
        memory = self.settings.config.site.gpu_memory_gib
        if memory is not None and (known := self._known_training(model)):
            said, instead = footprint.check(model, known[0], self.settings.train(model), known[1], memory)
            if said and said not in self._told:
                self._told.add(said)
                tell(f"{said}; to spare the tries: {instead}")

    def _train_pace(self, model: str, numbers: dict[str, Any]) -> dict[str, Any]:
        """How a training is run: activations are computed again from the start where the site's GPU would not hold them."""
        pace, memory = {name: numbers[name] for name in TRAIN_PACE}, self.settings.config.site.gpu_memory_gib
        if memory is not None and pace["activation_checkpointing"] == "auto" and (known := self._known_training(model)):
            of, rows = known
            if footprint.estimate(of, numbers, rows, checkpointing=False).total > memory * footprint.GIB:
                pace["activation_checkpointing"] = "on"
        return pace

    # Inputs

    def _gate(self, name: str, fact: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self._memo.ask((name, fact))
        return found

    def _key(self, step: str, *names: str) -> Input:
        """An input known by its key: nothing need exist."""
        recipe = self.recipe(step, *names)
        return Input(recipe.key, where=recipe.where)

    def _content(self, gate: str, *files: str) -> Input:
        """An input known by the content of some of its files (of all, if none is named), as a gate tells."""
        found = self._gate(gate)
        chosen = {name: found["files"][name]["sha256"] for name in files or found["files"]}
        return Input(f"content:{digest(chosen)}", where=found["where"], files=files or None)

    def _base_of(self, model: str) -> Input:
        return self._content(f"base/{self.settings.stanza(model)}")

    def _raw(self, name: str, path: str) -> Input:
        return Input(f"content:{self._gate(f'raw/{name}')['sha256']}", path=path)

    def locked(self, model: str) -> dict[str, Any] | None:
        """What models.lock.yaml pins of a base."""
        return (self._memo.ask(PINS) or {}).get(model)

    def _template(self, model: str) -> str:
        family = self.settings.model(model).family
        return Path(f"config/templates/{family}.jinja").read_text(encoding="utf-8")

    def _terms(self) -> dict[str, Any]:
        """The licence, the notice and `redistribute` of each source."""
        terms = {"licence", "notice", "redistribute"}
        return {name: source.model_dump(include=terms) for name, source in self.settings.config.sources.items()}

    # Steps: group of packages, params, inputs, lists, and what else a recipe may say

    def _ingest(self, source: str) -> Any:
        config = self.settings.config.sources[source]
        params = {
            "source": source,
            **config.model_dump(include={"reader", "role", "licence"}),
            "names": config.names,
            "labels": self.labels,
        }
        return "data", params, {"raw": self._raw(source, config.path), **self._withdrawn()}, {}

    def _withdrawn(self) -> dict[str, Input]:
        """The list of withdrawn records. An empty one decides nothing, and is none."""
        path = Path(self.settings.config.data.withdrawn)
        ids = withdrawals.read(path)
        return {"withdrawn": Input(f"content:{digest(sorted(ids))}", path=str(path))} if ids else {}

    def _unify(self) -> Any:
        return (
            "data",
            {},
            self._withdrawn(),
            {"ingest": [self._key("ingest", source) for source in self.settings.config.sources]},
        )

    def _minimise(self) -> Any:
        data = self.settings.config.data
        params = {
            "threshold": data.student_threshold,
            "min_chars": data.min_counsellor_chars,
            **data.model_dump(include={"length_rule", "max_turns", "max_chars"}),
        }
        return "data", params, {"unify": self._key("unify")}, {}

    def _split(self) -> Any:
        params = self.settings.config.data.model_dump(include={"near_duplicate", "permutations"})
        return "data", params, {"minimise": self._content("minimised", "unified_min.jsonl", "gold.jsonl")}, {}

    def shards(self) -> dict[int, dict[str, str]]:
        """The labelling jobs: number -> the buckets of records it labels, with the hash of each. A record's bucket follows from its
        id, so that an added record changes one bucket and one job."""
        found: dict[int, dict[str, str]] = {}
        for bucket, content in sorted(self._gate("minimised", "buckets")["facts"]["buckets"].items()):
            found.setdefault(int(bucket, 16) % self.settings.config.label.shards, {})[bucket] = content
        return found

    def _label(self, voter: str, shard: str) -> Any:
        asked = self.settings.voters[voter]
        held = self.shards()[int(shard)]
        options = BACKENDS[asked.backend]
        params: dict[str, Any] = {
            "backend": asked.backend,
            "labels": self.labels,
            "options": asked.model_dump(include=set(options.decide)),
            "buckets": sorted(held),
        }
        if options.prompted:
            params["options"]["instruction"] = self.settings.instruction_of(voter)
        # Known by the content of its buckets: other records come and go without changing it.
        inputs = {"minimise": Input(f"content:{digest(held)}", where=self._gate("minimised")["where"])}
        if files := labeller_files(asked):
            inputs["labeller"] = self._raw(files[1], files[0])
        further = {
            "uses": (options.module,),
            "pace": asked.model_dump(include=set(options.pace)),
            "by_record": ("minimise", "buckets") if options.prompted else (),
        }
        return options.group, params, inputs, {}, further

    def _merge_labels(self) -> Any:
        label = self.settings.config.label
        voters = {
            name: {
                **voter.model_dump(include={"backend", *BACKENDS[voter.backend].decide}),
                "instruction": self.settings.instruction_of(name) if BACKENDS[voter.backend].prompted else None,
                "file": Path(files[0]).name if (files := labeller_files(voter)) else None,
                "sha256": self._gate(f"raw/{files[1]}")["sha256"] if files else None,
            }
            for name, voter in self.settings.voters.items()
        }
        params = {
            "voters": voters,
            **label.model_dump(include={"vote", "min_confidence", "audit_per_class"}),
            "labels": self.labels,
        }
        lists = {name: [self._key("label", name, str(number)) for number in self.shards()] for name in voters}
        inputs = {"minimise": self._content("minimised", "unified_min.jsonl", "gold.jsonl")}
        return "labels", params, inputs, lists

    def _make_sft(self) -> Any:
        label = self.settings.config.label
        params = {
            **self.settings.config.sft.model_dump(),
            "leave_out_below": label.min_confidence if label.doubtful == "leave_out" else 0.0,
            "instruction": self.settings.instruction,
            "labels": self.labels,
        }
        inputs = {
            "minimise": self._content("minimised", "unified_min.jsonl", "gold.jsonl"),
            "split": self._key("split"),
            "labels": self._content("labels", "dataset.jsonl"),
        }
        return "data", params, inputs, {}

    def _base(self, model: str) -> Any:
        stanza = self.settings.model(model)
        if stanza.path is not None:
            return (
                "torch",
                {"model": model, "hub": None, "lock": None},
                {"raw": self._raw(f"base-{model}", stanza.path)},
                {},
            )
        return "torch", {"model": model, "hub": stanza.hub, "lock": self.locked(model)}, {}, {}

    def _train(self, model: str) -> Any:
        stanza, numbers = self.settings.model(model), self.settings.train(model)
        params = {
            "model": model,
            "train": {name: value for name, value in numbers.items() if name not in TRAIN_PACE},
            "template": self._template(model),
            "family": stanza.family,
            "context": stanza.context,
            "labels": self.labels,
        }
        return (
            "train",
            params,
            {"sft": self._content("sft", "train.jsonl", "val.jsonl"), "base": self._base_of(model)},
            {},
            {"pace": self._train_pace(model, numbers)},
        )

    def _llama_factory(self, model: str) -> Any:
        stanza = self.settings.model(model)
        params = {
            "model": model,
            "base": self.settings.stanza(model),
            "family": stanza.family,
            "context": stanza.context,
            "train": self.settings.train(model),
            "validation": self.settings.config.sft.val > 0,
        }
        return "core", params, {}, {}

    def _merge(self, model: str) -> Any:
        stanza = self.settings.model(model)
        params = {"model": model, "template": self._template(model), "family": stanza.family, "context": stanza.context}
        inputs = {
            "train": self._key("train", model),
            "base": self._base_of(model),
            "sft": self._content("sft", "train.jsonl", "val.jsonl"),
        }
        return "merge", params, inputs, {}

    def _convert(self, model: str, full: str) -> Any:
        name, stanza = self.settings.stanza(model), self.settings.model(model)
        locked = self.locked(name) if stanza.hub else None
        params = {
            "model": model,
            "outtype": full,
            "licence": stanza.licence,
            # Of a local base the directory's name alone: where it lies is nobody's business.
            "base": stanza.hub or Path(str(stanza.path)).name,
            "revision": locked["revision"] if locked else None,
            "sources": self._terms(),
        }
        inputs = {"merge": self._key("merge", model), "sft": self._content("sft", "train.jsonl", "val.jsonl")}
        return "convert", params, inputs, {}

    def _imatrix(self, model: str) -> Any:
        stanza, options = self.settings.model(model), self.settings.config.quantise
        params = {
            "model": model,
            "template": self._template(model),
            "family": stanza.family,
            "context": stanza.context,
            "rows": options.imatrix_rows,
            "seed": options.imatrix_seed,
        }
        # Training rows alone: a matrix of val or test would make the quants look better than they are.
        inputs = {"merge": self._key("merge", model), "sft": self._content("sft", "train.jsonl")}
        return "torch", params, inputs, {}

    def _takes_imatrix(self, quant: str) -> bool:
        return self.settings.config.quantise.imatrix and quant not in WITHOUT_IMATRIX

    def _has_imatrix(self, model: str) -> bool:
        quants = self.settings.quants(model)
        return any(self._takes_imatrix(quant) for quant in quants if quant != AUTO) or (
            AUTO in quants and any(one["imatrix"] for one in self._tries())
        )

    def _quantise(self, model: str, quant: str) -> Any:
        params = {"model": model, "quant": self.settings.quant(model, quant)}
        inputs = {"convert": self._full(model)}
        if self._takes_imatrix(quant):
            inputs["imatrix"] = self._key("imatrix", model)
        return "gguf", params, inputs, {}

    def _tries(self) -> list[dict[str, Any]]:
        """What AUTO tries: quants, and whether with an importance matrix."""
        found = []
        for name in self.settings.config.quantise.auto:
            quant = name.removesuffix(WITH_IMATRIX)
            found.append({"quant": quant, "imatrix": quant != name or self._takes_imatrix(quant)})
        return found

    def _choose(self, model: str) -> Any:
        stanza, tries = self.settings.model(model), self._tries()
        options = self.settings.config.evaluate
        params = {
            "tries": tries,
            "gates": self.settings.config.gates.model_dump(),
            "labels": self.labels,
            "template": self._template(model),
            "family": stanza.family,
            "context": stanza.context,
            **options.model_dump(include={"max_new_tokens", "batch_size"}),
            "rows": options.fidelity_rows,
        }
        inputs = {
            "convert": self._full(model),
            "merge": self._key("merge", model),
            "evaluate": self._key("evaluate", model, "merged"),
            "sft": self._content("sft", "val.jsonl"),
        }
        if any(one["imatrix"] for one in tries):
            inputs["imatrix"] = self._key("imatrix", model)
        return "evaluate", params, inputs, {}

    def _full(self, model: str) -> Input:
        """The entry that holds the GGUF that quants are made from."""
        return self._key("convert", model, self.settings.full(model))

    def _quant(self, model: str, quant: str) -> Input:
        """The entry that holds a quant."""
        return self._key("choose", model) if quant == AUTO else self._key("quantise", model, quant)

    def variants(self, model: str) -> list[str]:
        """Every variant of a model that is evaluated."""
        return [*VARIANTS, self.settings.full(model), *self.settings.quants(model)]

    def _artifacts(self, model: str, variant: str) -> dict[str, Input]:
        """What an evaluation loads: the weights, the tokenizer of its prompts, and of an adapter the base."""
        base = self._base_of(model)
        if variant == "base":
            return {"weights": base, "tokenizer": base}
        if variant == "adapter":
            return {"weights": self._key("train", model), "tokenizer": base, "base": base}
        merged = self._key("merge", model)
        if variant == "merged":
            return {"weights": merged, "tokenizer": merged}
        # llama.cpp's own ids must equal those of the merged model's tokenizer.
        weights = self._key("convert", model, variant) if variant in FULL else self._quant(model, variant)
        return {"weights": weights, "tokenizer": merged}

    def _judged_by(self) -> dict[str, Any]:
        return self.settings.config.evaluate.model_dump(include={"urgent", "false_alarms"})

    def _evaluate(self, model: str, variant: str) -> Any:
        stanza = self.settings.model(model)
        params = {
            "model": model,
            "variant": variant,
            "kind": "hf" if variant in ("base", "adapter", "merged") else "gguf",
            "template": self._template(model),
            "family": stanza.family,
            "context": stanza.context,
            **self.settings.config.evaluate.model_dump(exclude={"fidelity_rows"}),
            "labels": self.labels,
        }
        inputs = {
            "sft": self._content("sft", "val.jsonl", "test.jsonl", "gold.jsonl", "other_view.jsonl"),
            **self._artifacts(model, variant),
        }
        return "evaluate", params, inputs, {}

    def _baselines(self) -> Any:
        inputs = {"sft": self._content("sft"), "labels": self._content("labels", "gold_labels.jsonl")}
        return "baselines", {**self._judged_by(), "labels": self.labels}, inputs, {}

    def _fidelity(self, model: str) -> Any:
        stanza, quants = self.settings.model(model), self.settings.quants(model)
        params = {
            "variants": [self.settings.full(model), *quants],
            "template": self._template(model),
            "family": stanza.family,
            "context": stanza.context,
            "rows": self.settings.config.evaluate.fidelity_rows,
        }
        inputs = {"merge": self._key("merge", model), "sft": self._content("sft", "test.jsonl")}
        made = [self._full(model), *(self._quant(model, quant) for quant in quants)]
        return "evaluate", params, inputs, {"gguf": made}

    def _bench(self, model: str) -> Any:
        quants = self.settings.quants(model)
        params = {
            "variants": [self.settings.full(model), *quants],
            "context": self.settings.model(model).context,
            **self.settings.config.bench.model_dump(),
        }
        made = [self._full(model), *(self._quant(model, quant) for quant in quants)]
        return "gguf", params, {}, {"gguf": made}

    def _judge(self, model: str) -> Any:
        variants = self.variants(model)
        params = {
            "variants": variants,
            "full": self.settings.full(model),
            "quants": self.settings.quants(model),
            "gates": self.settings.config.gates.model_dump(),
            "labels": self.labels,
        }
        evaluated = [self._key("evaluate", model, variant) for variant in variants]
        inputs = {"baselines": self._key("baselines"), "fidelity": self._key("fidelity", model)}
        if AUTO in params["quants"]:
            inputs["choose"] = self._key("choose", model)
        return "baselines", params, inputs, {"evaluate": evaluated}

    def _bundle(self, model: str, quant: str) -> Any:
        stanza = self.settings.model(model)
        params = {
            "model": model,
            "quant": quant,
            "stanza": stanza.model_dump(exclude={"train", "path", "minutes"}),
            "template": self._template(model),
            "instruction": self.settings.instruction,
            "labels": self.labels,
            "sources": self._terms(),
            "notice": self.settings.config.report.notice,
            "despite_gates": bool({model, f"{model}/{quant}"} & {*self.settings.config.bundle.despite_gates}),
        }
        inputs = {
            "quantise": self._quant(model, quant),
            "evaluate": self._key("evaluate", model, quant),
            "judge": self._key("judge", model),
            "minimise": self._content("minimised", "unified_min.jsonl"),
            "sft": self._content("sft", "stats.json"),
        }
        return "bundle", params, inputs, {}

    def _export(self) -> Any:
        config = self.settings.config
        sources = self._terms()
        if not config.export.leave_out_restricted:
            refuse_sources(sources, sources, "the exported dataset")
        return "trail", {"sources": sources, **config.export.model_dump()}, {"sft": self._content("sft")}, {}

    def _report(self) -> Any:
        config, models = self.settings.config, self.settings.names
        quantised = [(model, quant) for model in models for quant in self.settings.quants(model)]
        evaluated = [(model, variant) for model in models for variant in self.variants(model)]
        params = {
            **config.report.model_dump(),
            "version": project_version(),
            "sources": list(config.sources),
            "models": models,
            "seeds": {name: of for name, of in self.settings.seeded.items() if name in config.models},
            "quantised": [list(pair) for pair in quantised],
            "evaluated": [list(pair) for pair in evaluated],
            "labels": self.labels,
        }
        inputs = {
            "unify": self._key("unify"),
            "minimise": self._key("minimise"),
            "split": self._key("split"),
            "labels": self._key("merge_labels"),
            "sft": self._key("make_sft"),
            "baselines": self._key("baselines"),
        }
        lists = {
            "ingest": [self._key("ingest", source) for source in config.sources],
            "train": [self._key("train", model) for model in models],
            "merge": [self._key("merge", model) for model in models],
            "quantise": [self._quant(*pair) for pair in quantised],
            "evaluate": [self._key("evaluate", *pair) for pair in evaluated],
            "judge": [self._key("judge", model) for model in models],
            "bench": [self._key("bench", model) for model in models],
        }
        return "report", params, inputs, lists

    def _catalogue(self) -> Any:
        views = self._view_params()
        entries = [self._view_input(view["step"], *view["names"]) for view in views]
        behind = self._behind(dict.fromkeys((view["step"], *view["names"]) for view in views))
        return "report", {"views": views}, {}, {"entries": entries, "behind": behind}

    def _crate(self) -> Any:
        config = self.settings.config
        views = packing.shown(self._view_params())
        params = {
            "views": views,
            # Where the store and the labeller's server are decides nothing.
            "config": without_places(config.model_dump(exclude={"store", "store_group"})),
            "labels": self.labels,
            "instruction": self.settings.instruction,
            "sources": self._terms(),
            "title": config.report.title,
        }
        inputs = {
            "catalogue": self._key("catalogue"),
            "sft": self._content("sft"),
            "minimise": self._content("minimised", *packing.RECORDS),
        }
        lists = {
            "entries": [self._view_input(view["step"], *view["names"]) for view in views],
            "workflow": [Input(f"content:{sha256_file(Path(path))}", path=path) for path in packing.workflow_files()],
        }
        return "trail", params, inputs, lists

    def _view_params(self) -> list[dict[str, Any]]:
        return [
            {"view": view, "step": step, "names": list(names), "file": file} for view, step, names, file in self.views()
        ]

    def _view_input(self, step: str, *names: str) -> Input:
        """The entry behind a view. A base counts by content, as everywhere."""
        return self._content(f"base/{names[0]}") if step == "base" else self._key(step, *names)

    def _behind(self, shown: dict[tuple[str, ...], None]) -> list[Input]:
        """The entries that those of the views are made from, at any remove, and no view shows. Who counts by content stands behind
        a gate, and is not made from here."""
        found: dict[tuple[str, ...], Input] = {}
        waiting = list(shown)
        while waiting:
            recipe = self.recipe(*waiting.pop())
            for source in [*recipe.inputs.values(), *(item for items in recipe.lists.values() for item in items)]:
                if source.where is None or source.identity.startswith("content:"):
                    continue
                name = tuple(source.where.split("/")[:-1])
                if name not in shown and name not in found:
                    found[name] = source
                    waiting.append(name)
        return [found[name] for name in sorted(found)]

    # Views

    def further(self) -> dict[str, tuple[str, ...]]:
        """The views that are made only when they are asked for, with the step and names that each shows; those of models that
        `models` does not list among them."""
        models = [name for name in self.settings.models if name not in self.settings.seeded]
        others = [name for name in models if name not in self.settings.names]
        return {
            "results/export/README.md": ("export",),
            "results/crate.zip": ("crate",),
            **{f"results/models/{of}/train_{of}_lora.yaml": ("llama_factory", of) for of in models},
            **{f"results/base/{of}/config.json": ("base", of) for of in map(self.settings.stanza, others)},
            **{f"results/{view}": (step, *names) for of in others for view, step, names, _ in self._of_model(of)},
        }

    def views(self) -> list[View]:
        """Every view under results/ that `all` makes: its path, and the step, names and file it shows."""
        found: list[View] = []
        for source in self.settings.config.sources:
            found += _shown(f"data/ingest/{source}", "ingest", (source,), "stats.json", "quarantine.jsonl")
        found += _shown("data", "unify", (), "unified.jsonl", "stats.json")
        found += _shown(
            "data", "minimise", (), "unified_min.jsonl", "gold.jsonl", "stats_min.json", "student_audit.csv"
        )
        found += _shown("data", "split", (), "groups.jsonl", "stats_split.json")
        found += _shown("labels", "merge_labels", (), "dataset.jsonl", "stats.json", "gold.json", "needs_review.csv")
        found += _shown("labels", "merge_labels", (), "audit.csv", "audit.xlsx", "audit_weights.json")
        found += _shown(
            "sft",
            "make_sft",
            (),
            "train.jsonl",
            "val.jsonl",
            "test.jsonl",
            "gold.jsonl",
            "other_view.jsonl",
            "sft_student_mental.jsonl",
            "dataset_info.json",
            "stats.json",
        )
        for model in self.bases():
            found += _shown(f"base/{model}", "base", (model,), "config.json")
        for model in self.settings.names:
            found += self._of_model(model)
        found += _shown("eval/baselines", "baselines", (), "majority/metrics.json", "tfidf/metrics.json")
        found += _shown("report", "report", (), "index.html", "results.json", "results.txt")
        return found

    def _of_model(self, model: str) -> list[View]:
        """The views of one model, as of `views`."""
        found: list[View] = []
        found += _shown(f"models/{model}/adapter", "train", (model,), *ADAPTER)
        found += _shown(f"models/{model}/merged", "merge", (model,), "config.json", "merge_check.json")
        full = self.settings.full(model)
        found.append((f"models/{model}/gguf/{model}-{full}.gguf", "convert", (model, full), "model.gguf"))
        if self._has_imatrix(model):
            found.append((f"models/{model}/gguf/{model}-imatrix.gguf", "imatrix", (model,), "imatrix.gguf"))
        for quant in self.settings.quants(model):
            step, names = ("choose", (model,)) if quant == AUTO else ("quantise", (model, quant))
            found.append((f"models/{model}/gguf/{model}-{quant}.gguf", step, names, "model.gguf"))
            found += _shown(f"models/{model}/bundle/{quant}", "bundle", (model, quant), "README.md", "checksums.txt")
        for variant in self.variants(model):
            found.append((f"models/{model}/eval/{variant}.json", "evaluate", (model, variant), "metrics.json"))
        found += _shown(f"models/{model}/eval", "judge", (model,), "comparison.json", "gates.json", "errors.csv")
        found += _shown(f"models/{model}/gguf", "judge", (model,), "verify.json")
        found += _shown(f"models/{model}/gguf", "bench", (model,), "bench.json")
        return found

    def targets(self, *steps: str) -> list[str]:
        """The views of some steps, and their pages, as targets."""
        views = [(view, file in PAGED.get(step, ())) for view, step, _, file in self.views() if step in steps]
        pages = [str(PAGES / Path(view).with_suffix(".html")) for view, paged in views if paged]
        return [f"results/{view}" for view, _ in views] + pages


def _shown(directory: str, step: str, names: tuple[str, ...], *files: str) -> list[View]:
    return [(f"{directory}/{file}", step, names, file) for file in files]


ADAPTER = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "train_results.json",
    "eval_results.json",
    "log_history.json",
    "training_loss.png",
    "training_eval_loss.png",
    "run.json",
)

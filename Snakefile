# MindGauge: raw counselling corpora -> small screening models -> a reviewed report.
# Named targets: all data labels sft train llama_factory gguf evaluate report verify export crate. Options: config/README.md.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


# Used with --sdm apptainer only, by sites that build it; by default jobs run in the locked environment that runs Snakemake.
container: "envs/mindgauge.sif"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/label.smk"
include: "rules/sft.smk"
include: "rules/base.smk"
include: "rules/train.smk"
include: "rules/llama_factory.smk"
include: "rules/export.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


# Used with --sdm conda only: one environment for every rule, since `conda:` cannot be said once for all.
for each in workflow.rules:
    each.conda_env = f"{workflow.basedir}/envs/conda/mindgauge.yaml"


report: "report/workflow.rst"


onstart:
    with exit_on_user_error():
        starting.refuse(workflow)


onsuccess:
    with exit_on_user_error():
        # Anew: a first fetch has pinned its commit meanwhile.
        current = store_gates.current(Settings(config))
        outdated = withdrawing.outdated(plan.store.root, current)
        process.refuse_half_way(workflow.dag, outdated)


onerror:
    if process.makes(workflow.dag):
        withdrawing.withdraw(plan.store.root, store_gates.current(Settings(config)))


rule all:
    default_target: True
    input:
        plan.wanted_gates(),
        targets_of(*STEPS),
        "results/manifest.json",
    message:
        "All is made: results/report/index.html"


rule data:
    input:
        plan.targets(*TARGETS["data"]),
    message:
        "The records are ready: results/data"


rule labels:
    input:
        plan.targets(*TARGETS["labels"]),
    message:
        "The labels are ready: results/labels"


rule sft:
    input:
        plan.targets(*TARGETS["sft"]),
    message:
        "The supervised rows are ready: results/sft"


rule export:
    input:
        "results/export/README.md",
    message:
        "The dataset to pass on is ready: results/export"


rule train:
    input:
        plan.wanted_gates(),
        targets_of(*TARGETS["train"]),
    message:
        "Every model is trained: results/models"


rule llama_factory:
    input:
        expand(
            "results/models/{model}/train_{model}_lora.yaml",
            model=plan.settings.names,
        ),
        plan.targets("make_sft"),
        plan.targets("base"),
    message:
        "LLaMA-Factory can train every model: results/models/<model>/train_<model>_lora.yaml"


rule gguf:
    input:
        plan.wanted_gates(),
        targets_of(*TARGETS["gguf"]),
    message:
        "Every GGUF and bundle is ready: results/models"


rule evaluate:
    input:
        plan.wanted_gates(),
        targets_of(*TARGETS["evaluate"]),
    message:
        "Every variant is evaluated and measured: results/models"


rule report:
    input:
        plan.wanted_gates(),
        targets_of(*TARGETS["report"]),
    message:
        "The report is ready: results/report/index.html"


rule crate:
    input:
        "results/crate.zip",
    message:
        "The run is packed without text and weights: results/crate.zip"


rule verify:
    log:
        "results/logs/verify.log",
    localrule: True
    threads: 4
    message:
        "Hash every artifact again and compare with its manifest"
    shell:
        "python workflow/scripts/verify.py --threads {threads} 2>&1 | tee {log}"

# MindGauge: raw counselling corpora -> small screening models -> a reviewed report.
# Named targets: all data labels sft train gguf evaluate report verify export crate. Options: config/README.md.
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
include: "rules/export.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


report: "report/workflow.rst"


onsuccess:
    with exit_on_user_error():
        process.refuse_half_way(workflow.dag)


onerror:
    withdrawing.withdraw(plan.store.root, plan.current())


rule all:
    default_target: True
    input:
        plan.targets(*STEPS),
        "results/manifest.json",


rule data:
    input:
        plan.targets("ingest", "unify", "minimise", "split"),


rule labels:
    input:
        plan.targets("minimise", "merge_labels"),


rule sft:
    input:
        plan.targets("make_sft"),


rule export:
    input:
        "results/export/README.md",


rule train:
    input:
        plan.targets("train"),


rule gguf:
    input:
        plan.targets("convert", "imatrix", "quantise", "bundle"),


rule evaluate:
    input:
        plan.targets("evaluate", "baselines", "judge", "bench"),


rule report:
    input:
        plan.targets("report"),


rule crate:
    input:
        "results/crate.zip",


rule verify:
    log:
        "results/logs/verify.log",
    localrule: True
    threads: 4
    shell:
        "python workflow/scripts/verify.py --threads {threads} 2>&1 | tee {log}"

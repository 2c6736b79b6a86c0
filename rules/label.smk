# Student and gold records -> labels, by one or more labellers, in shards.


rule make_label:
    input:
        needs_of("label"),
    output:
        "results/.entries/label/{voter}/{shard}/{key}",
    log:
        "results/logs/label/{voter}/{shard}/{key}.log",
    wildcard_constraints:
        voter="[0-9]+-(keywords|file|openai)",
    threads: 1
    resources:
        mem_mb=grows(4000),
        runtime=720,
    message:
        "Label the records of shard {wildcards.shard} by {wildcards.voter}"
    shell:
        "python workflow/scripts/label.py --entry {output} > {log} 2>&1"


rule make_label_by_model:
    input:
        needs_of("label"),
    output:
        "results/.entries/label/{voter}/{shard}/{key}",
    log:
        "results/logs/label/{voter}/{shard}/{key}.log",
    wildcard_constraints:
        voter="[0-9]+-(llama-cpp|transformers)",
    threads: 8
    resources:
        mem_mb=grows(32000),
        runtime=720,
    message:
        "Label the records of shard {wildcards.shard} by a model ({wildcards.voter})"
    shell:
        "python workflow/scripts/label.py --entry {output} --threads {threads} > {log} 2>&1"


rule make_merge_labels:
    input:
        needs_of("merge_labels"),
    output:
        "results/.entries/merge_labels/{key}",
    log:
        "results/logs/merge_labels/{key}.log",
    threads: 1
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    message:
        "Put the labels of all shards and labellers together"
    shell:
        "python workflow/scripts/merge_labels.py --entry {output} > {log} 2>&1"


checkpoint labels_gate:
    input:
        EPOCH,
        gates_of("merge_labels"),
        entry=stamp_of("merge_labels"),
    output:
        "results/.gates/labels.json",
    log:
        "results/logs/gate/labels.log",
    localrule: True
    message:
        "Look at the labels: did they change?"
    shell:
        "python workflow/scripts/gate.py {input.entry} {output} > {log} 2>&1"


rule view_labels:
    input:
        EPOCH,
        gates_of("merge_labels"),
        entry=stamp_of("merge_labels"),
    output:
        "results/labels/dataset.jsonl",
        "results/labels/stats.json",
        report(
            "results/.pages/labels/stats.html",
            caption="../report/labels.rst",
            category="Labels",
            labels={"result": "what was labelled, and how sure"},
        ),
        "results/labels/gold.json",
        report(
            "results/.pages/labels/gold.html",
            caption="../report/gold.rst",
            category="Labels",
            labels={"result": "the labeller against human labels"},
        ),
        "results/labels/needs_review.csv",
        "results/labels/audit.csv",
        "results/labels/audit.xlsx",
        "results/labels/audit_weights.json",
    log:
        "results/logs/view/labels.log",
    localrule: True
    message:
        "Show the labels in results/labels"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --everything > {log} 2>&1"

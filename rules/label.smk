# Student records -> labels, in shards.


rule make_label:
    input:
        needs_of("label"),
    output:
        "results/.entries/label/{shard}/{key}",
    log:
        "results/logs/label/{shard}/{key}.log",
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    shell:
        "python workflow/scripts/label.py --entry {output} > {log} 2>&1"


rule make_merge_labels:
    input:
        needs_of("merge_labels"),
    output:
        "results/.entries/merge_labels/{key}",
    log:
        "results/logs/merge_labels/{key}.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
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
    shell:
        "python workflow/scripts/gate.py {input.entry} {output} > {log} 2>&1"


rule view_labels:
    input:
        EPOCH,
        gates_of("merge_labels"),
        entry=stamp_of("merge_labels"),
    output:
        "results/labels/dataset.jsonl",
        report(
            "results/labels/stats.json",
            caption="../report/stats.rst",
            category="Labels",
            labels={"table": "labels"},
        ),
    log:
        "results/logs/view/labels.log",
    localrule: True
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --everything > {log} 2>&1"

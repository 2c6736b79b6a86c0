# Records, labels and groups -> supervised rows.


rule make_sft:
    input:
        needs_of("make_sft"),
    output:
        "results/.entries/make_sft/{key}",
    log:
        "results/logs/make_sft/{key}.log",
    threads: 1
    resources:
        mem_mb=grows(8000),
        runtime=grows(60),
    message:
        "Write the supervised rows: train, val and test"
    shell:
        "python workflow/scripts/make_sft.py --entry {output} > {log} 2>&1"


checkpoint sft_gate:
    input:
        EPOCH,
        gates_of("make_sft"),
        entry=stamp_of("make_sft"),
    output:
        "results/.gates/sft.json",
    log:
        "results/logs/gate/sft.log",
    localrule: True
    message:
        "Look at the supervised rows: did they change?"
    shell:
        "python workflow/scripts/gate.py {input.entry} {output} > {log} 2>&1"


rule view_sft:
    input:
        EPOCH,
        gates_of("make_sft"),
        entry=stamp_of("make_sft"),
    output:
        "results/sft/train.jsonl",
        "results/sft/val.jsonl",
        "results/sft/test.jsonl",
        "results/sft/gold.jsonl",
        "results/sft/other_view.jsonl",
        "results/sft/sft_student_mental.jsonl",
        "results/sft/dataset_info.json",
        "results/sft/stats.json",
        report(
            "results/.pages/sft/stats.html",
            caption="../report/sft.rst",
            category="Data",
            labels={"result": "supervised rows", "source": "all"},
        ),
    log:
        "results/logs/view/sft.log",
    localrule: True
    message:
        "Show the supervised rows in results/sft"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule make_export:
    input:
        needs_of("export"),
    output:
        "results/.entries/export/{key}",
    log:
        "results/logs/export/{key}.log",
    threads: 1
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    message:
        "Write the dataset to pass on, by the terms of its sources"
    shell:
        "python workflow/scripts/export.py --entry {output} > {log} 2>&1"


rule view_export:
    input:
        EPOCH,
        gates_of("export"),
        entry=stamp_of("export"),
    output:
        "results/export/README.md",
        "results/export/checksums.txt",
    log:
        "results/logs/view/export.log",
    localrule: True
    message:
        "Show the dataset to pass on in results/export"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --everything > {log} 2>&1"

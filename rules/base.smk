# Base models: fetched on the submit host, pinned, verified.


rule make_base:
    input:
        needs_of("base"),
    output:
        "results/.entries/base/{model}/{key}",
    log:
        "results/logs/base/{model}/{key}.log",
    localrule: True
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    message:
        "Fetch the base model {wildcards.model}, or copy it, and verify it"
    shell:
        "python workflow/scripts/base.py --entry {output} > {log} 2>&1"


checkpoint base_gate:
    input:
        EPOCH,
        gates_of("base"),
        entry=stamp_of("base"),
    output:
        "results/.gates/base/{model}.json",
    log:
        "results/logs/gate/base/{model}.log",
    localrule: True
    message:
        "Look at the base model {wildcards.model}: did a byte change?"
    shell:
        "python workflow/scripts/gate.py {input.entry} {output} > {log} 2>&1"


rule view_base:
    input:
        EPOCH,
        gates_of("base"),
        entry=stamp_of("base"),
    output:
        "results/base/{model}/config.json",
    log:
        "results/logs/view/base/{model}.log",
    localrule: True
    message:
        "Show the base model {wildcards.model} in results/base"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --everything > {log} 2>&1"

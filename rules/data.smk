# Raw files -> records -> student records -> split groups.


checkpoint raw_gate:
    input:
        EPOCH,
        token=raw_token,
    output:
        "results/.gates/raw/{raw}.json",
    log:
        "results/logs/gate/raw/{raw}.log",
    localrule: True
    message:
        "Look at the raw files of {wildcards.raw}: did a byte change?"
    shell:
        "python workflow/scripts/hash_raw.py {input.token} {output} > {log} 2>&1"


rule make_ingest:
    input:
        needs_of("ingest"),
    output:
        "results/.entries/ingest/{source}/{key}",
    log:
        "results/logs/ingest/{source}/{key}.log",
    threads: 1
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    message:
        "Read the raw files of {wildcards.source} into records"
    shell:
        "python workflow/scripts/ingest.py --entry {output} > {log} 2>&1"


rule make_unify:
    input:
        needs_of("unify"),
    output:
        "results/.entries/unify/{key}",
    log:
        "results/logs/unify/{key}.log",
    threads: 4
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    message:
        "Put the records of all sources into one form, identities replaced"
    shell:
        "python workflow/scripts/unify.py --entry {output} --threads {threads} > {log} 2>&1"


rule make_minimise:
    input:
        needs_of("minimise"),
    output:
        "results/.entries/minimise/{key}",
    log:
        "results/logs/minimise/{key}.log",
    threads: 4
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    message:
        "Choose the records of students that are long enough"
    shell:
        "python workflow/scripts/minimise.py --entry {output} --threads {threads} > {log} 2>&1"


checkpoint minimised_gate:
    input:
        EPOCH,
        # Not ancient: while a raw gate is to run, what this gate says is of an earlier state, and nothing may be planned by it.
        [gate_file(f"raw/{source}") for source in plan.settings.config.sources],
        gates_of("minimise"),
        entry=stamp_of("minimise"),
    output:
        "results/.gates/minimised.json",
    log:
        "results/logs/gate/minimised.log",
    localrule: True
    message:
        "Look at the students' records: did they change?"
    shell:
        "python workflow/scripts/gate.py {input.entry} {output} > {log} 2>&1"


rule make_split:
    input:
        needs_of("split"),
    output:
        "results/.entries/split/{key}",
    log:
        "results/logs/split/{key}.log",
    threads: 1
    resources:
        mem_mb=grows(8000),
        runtime=grows(60),
    message:
        "Group records that tell the same story, so that train and test share none"
    shell:
        "python workflow/scripts/split.py --entry {output} > {log} 2>&1"


rule view_ingest:
    input:
        EPOCH,
        gates_of("ingest"),
        entry=stamp_of("ingest"),
    output:
        "results/data/ingest/{source}/stats.json",
        report(
            "results/.pages/data/ingest/{source}/stats.html",
            caption="../report/ingest.rst",
            category="Data",
            labels={"result": "read from the raw files", "source": "{source}"},
        ),
        "results/data/ingest/{source}/quarantine.jsonl",
    log:
        "results/logs/view/ingest/{source}.log",
    localrule: True
    message:
        "Show what was read of {wildcards.source} in results/data/ingest"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule view_unified:
    input:
        EPOCH,
        gates_of("unify"),
        entry=stamp_of("unify"),
    output:
        "results/data/unified.jsonl",
        "results/data/stats.json",
        report(
            "results/.pages/data/stats.html",
            caption="../report/unify.rst",
            category="Data",
            labels={"result": "in one form, identities replaced", "source": "all"},
        ),
    log:
        "results/logs/view/unified.log",
    localrule: True
    message:
        "Show the records of all sources in results/data"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule view_minimised:
    input:
        EPOCH,
        gates_of("minimise"),
        entry=stamp_of("minimise"),
    output:
        "results/data/unified_min.jsonl",
        "results/data/gold.jsonl",
        "results/data/student_audit.csv",
        "results/data/stats_min.json",
        report(
            "results/.pages/data/stats_min.html",
            caption="../report/minimise.rst",
            category="Data",
            labels={
                "result": "students' records",
                "source": "all",
            },
        ),
    log:
        "results/logs/view/minimised.log",
    localrule: True
    message:
        "Show the students' records in results/data"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule view_split:
    input:
        EPOCH,
        gates_of("split"),
        entry=stamp_of("split"),
    output:
        "results/data/groups.jsonl",
        "results/data/stats_split.json",
        report(
            "results/.pages/data/stats_split.html",
            caption="../report/split.rst",
            category="Data",
            labels={"result": "split groups", "source": "all"},
        ),
    log:
        "results/logs/view/split.log",
    localrule: True
    message:
        "Show the split groups in results/data"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"

# What people read, the list of every artifact, and what is handed on.


rule make_report:
    input:
        needs_of("report"),
    output:
        "results/.entries/report/{key}",
    log:
        "results/logs/report/{key}.log",
    threads: 1
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    message:
        "Write the report of all models"
    shell:
        "python workflow/scripts/report.py --entry {output} > {log} 2>&1"


rule make_catalogue:
    input:
        needs_of("catalogue"),
    output:
        "results/.entries/catalogue/{key}",
    log:
        "results/logs/catalogue/{key}.log",
    threads: 1
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    message:
        "Write the list of every artifact"
    shell:
        "python workflow/scripts/catalogue.py --entry {output} > {log} 2>&1"


rule view_report:
    input:
        EPOCH,
        gates_of("report"),
        entry=stamp_of("report"),
    output:
        report(
            "results/report/index.html",
            caption="../report/index.rst",
            category="Evaluation",
            labels={
                "result": "everything at a glance",
                "model": "all",
                "variant": "all",
            },
        ),
        "results/report/results.json",
        "results/report/results.txt",
    log:
        "results/logs/view/report.log",
    localrule: True
    message:
        "Show the report in results/report"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule view_manifest:
    input:
        EPOCH,
        gates_of("catalogue"),
        entry=stamp_of("catalogue"),
    output:
        "results/manifest.json",
    log:
        "results/logs/view/manifest.log",
    localrule: True
    message:
        "Show the list of every artifact: results/manifest.json"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --file catalogue.json > {log} 2>&1"


rule make_crate:
    input:
        needs_of("crate"),
    output:
        "results/.entries/crate/{key}",
    log:
        "results/logs/crate/{key}.log",
    threads: 1
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    message:
        "Pack the run as an RO-Crate, without text and weights"
    shell:
        "python workflow/scripts/crate.py --entry {output} > {log} 2>&1"


rule view_crate:
    input:
        EPOCH,
        gates_of("crate"),
        entry=stamp_of("crate"),
    output:
        "results/crate.zip",
    log:
        "results/logs/view/crate.log",
    localrule: True
    message:
        "Show the crate"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"

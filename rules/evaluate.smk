# The same held-out rows for every variant and the plain baselines.


rule make_evaluate:
    input:
        needs_of("evaluate"),
    output:
        "results/.entries/evaluate/{model}/{variant}/{key}",
    log:
        "results/logs/evaluate/{model}/{variant}/{key}.log",
    threads: 4
    resources:
        mem_mb=16000,
        runtime=240,
    shell:
        "python workflow/scripts/evaluate.py --entry {output} --threads {threads} > {log} 2>&1"


rule make_baselines:
    input:
        needs_of("baselines"),
    output:
        "results/.entries/baselines/{key}",
    log:
        "results/logs/baselines/{key}.log",
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    shell:
        "python workflow/scripts/baselines.py --entry {output} > {log} 2>&1"


rule make_fidelity:
    input:
        needs_of("fidelity"),
    output:
        "results/.entries/fidelity/{model}/{key}",
    log:
        "results/logs/fidelity/{model}/{key}.log",
    threads: 4
    resources:
        mem_mb=32000,
        runtime=120,
    shell:
        "python workflow/scripts/fidelity.py --entry {output} --threads {threads} > {log} 2>&1"


rule make_bench:
    input:
        needs_of("bench"),
    output:
        "results/.entries/bench/{model}/{key}",
    log:
        "results/logs/bench/{model}/{key}.log",
    threads: max(plan.settings.config.bench.threads)
    resources:
        mem_mb=32000,
        runtime=240,
    shell:
        "python workflow/scripts/bench.py --entry {output} --threads {threads} > {log} 2>&1"


rule make_judge:
    input:
        needs_of("judge"),
    output:
        "results/.entries/judge/{model}/{key}",
    log:
        "results/logs/judge/{model}/{key}.log",
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "python workflow/scripts/judge.py --entry {output} > {log} 2>&1"


rule view_evaluation:
    input:
        EPOCH,
        base_gate,
        gates_of("evaluate"),
        entry=stamp_of("evaluate"),
    output:
        report(
            "results/models/{model}/eval/{variant}.json",
            caption="../report/metrics.rst",
            category="Evaluation",
            labels={"model": "{model}", "variant": "{variant}"},
        ),
    log:
        "results/logs/view/evaluation/{model}/{variant}.log",
    localrule: True
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --file metrics.json > {log} 2>&1"


rule view_baselines:
    input:
        EPOCH,
        gates_of("baselines"),
        entry=stamp_of("baselines"),
    output:
        "results/eval/baselines/majority/metrics.json",
        "results/eval/baselines/tfidf/metrics.json",
    log:
        "results/logs/view/baselines.log",
    localrule: True
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule view_judge:
    input:
        EPOCH,
        base_gate,
        gates_of("judge"),
        entry=stamp_of("judge"),
    output:
        report(
            "results/models/{model}/eval/comparison.json",
            caption="../report/comparison.rst",
            category="Evaluation",
            labels={"model": "{model}", "variant": "compared in pairs"},
        ),
        report(
            "results/models/{model}/eval/gates.json",
            caption="../report/gates.rst",
            category="Evaluation",
            labels={"model": "{model}", "variant": "release"},
        ),
        "results/models/{model}/eval/errors.csv",
        report(
            "results/models/{model}/gguf/verify.json",
            caption="../report/verify.rst",
            category="Export",
            labels={
                "model": "{model}",
                "variant": "every GGUF against the merged model",
            },
        ),
    log:
        "results/logs/view/judge/{model}.log",
    localrule: True
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule view_bench:
    input:
        EPOCH,
        base_gate,
        gates_of("bench"),
        entry=stamp_of("bench"),
    output:
        report(
            "results/models/{model}/gguf/bench.json",
            caption="../report/bench.rst",
            category="Export",
            labels={"model": "{model}", "variant": "speed and memory of every GGUF"},
        ),
    log:
        "results/logs/view/bench/{model}.log",
    localrule: True
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"

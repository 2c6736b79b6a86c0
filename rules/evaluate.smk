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
        mem_mb=of_size(8000, 7),
        runtime=grows(240),
    message:
        "Evaluate {wildcards.model} as {wildcards.variant} on the held-out rows"
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
        mem_mb=grows(8000),
        runtime=grows(60),
    message:
        "Evaluate the plain baselines (majority value, TF-IDF) on the held-out rows"
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
        mem_mb=of_size(8000, 9),
        runtime=grows(120),
    message:
        "Compare every GGUF of {wildcards.model} with its merged model, row by row"
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
        mem_mb=of_size(4000, 3),
        runtime=grows(240),
    message:
        "Measure speed and memory of every GGUF of {wildcards.model}; nothing runs beside it"
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
        mem_mb=grows(4000),
        runtime=grows(60),
    message:
        "Judge {wildcards.model}: variants in pairs, and the gates of release"
    shell:
        "python workflow/scripts/judge.py --entry {output} > {log} 2>&1"


rule view_evaluation:
    input:
        EPOCH,
        base_gate,
        gates_of("evaluate"),
        entry=stamp_of("evaluate"),
    output:
        "results/models/{model}/eval/{variant}.json",
        report(
            "results/.pages/models/{model}/eval/{variant}.html",
            caption="../report/metrics.rst",
            category="Evaluation",
            labels={"result": "figures", "model": "{model}", "variant": "{variant}"},
        ),
    log:
        "results/logs/view/evaluation/{model}/{variant}.log",
    localrule: True
    message:
        "Show how {wildcards.model} as {wildcards.variant} does in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --file metrics.json > {log} 2>&1"


rule view_baselines:
    input:
        EPOCH,
        gates_of("baselines"),
        entry=stamp_of("baselines"),
    output:
        "results/eval/baselines/majority/metrics.json",
        report(
            "results/.pages/eval/baselines/majority/metrics.html",
            caption="../report/baselines.rst",
            category="Evaluation",
            labels={
                "result": "figures",
                "model": "majority value",
                "variant": "plain baseline",
            },
        ),
        "results/eval/baselines/tfidf/metrics.json",
        report(
            "results/.pages/eval/baselines/tfidf/metrics.html",
            caption="../report/baselines.rst",
            category="Evaluation",
            labels={
                "result": "figures",
                "model": "character TF-IDF",
                "variant": "plain baseline",
            },
        ),
    log:
        "results/logs/view/baselines.log",
    localrule: True
    message:
        "Show how the plain baselines do in results/eval"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule view_judge:
    input:
        EPOCH,
        base_gate,
        gates_of("judge"),
        entry=stamp_of("judge"),
    output:
        "results/models/{model}/eval/comparison.json",
        report(
            "results/.pages/models/{model}/eval/comparison.html",
            caption="../report/comparison.rst",
            category="Evaluation",
            labels={
                "result": "variants in pairs",
                "model": "{model}",
                "variant": "all",
            },
        ),
        "results/models/{model}/eval/gates.json",
        report(
            "results/.pages/models/{model}/eval/gates.html",
            caption="../report/gates.rst",
            category="Evaluation",
            labels={
                "result": "gates of release",
                "model": "{model}",
                "variant": "all",
            },
        ),
        "results/models/{model}/eval/errors.csv",
        "results/models/{model}/gguf/verify.json",
        report(
            "results/.pages/models/{model}/gguf/verify.html",
            caption="../report/verify.rst",
            category="Export",
            labels={
                "result": "GGUF against merged model",
                "model": "{model}",
                "variant": "all GGUF",
            },
        ),
    log:
        "results/logs/view/judge/{model}.log",
    localrule: True
    message:
        "Show the judgement on {wildcards.model} in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule view_bench:
    input:
        EPOCH,
        base_gate,
        gates_of("bench"),
        entry=stamp_of("bench"),
    output:
        "results/models/{model}/gguf/bench.json",
        report(
            "results/.pages/models/{model}/gguf/bench.html",
            caption="../report/bench.rst",
            category="Export",
            labels={
                "result": "speed and memory",
                "model": "{model}",
                "variant": "all GGUF",
            },
        ),
    log:
        "results/logs/view/bench/{model}.log",
    localrule: True
    message:
        "Show speed and memory of {wildcards.model} in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"

# Supervised rows and a base model -> adapter -> merged model.


rule make_train:
    input:
        needs_of("train"),
    output:
        "results/.entries/train/{model}/{key}",
    log:
        "results/logs/train/{model}/{key}.log",
    threads: 8
    resources:
        mem_mb=32000,
        runtime=720,
    shell:
        "python workflow/scripts/train.py --entry {output} > {log} 2>&1"


rule make_merge:
    input:
        needs_of("merge"),
    output:
        "results/.entries/merge/{model}/{key}",
    log:
        "results/logs/merge/{model}/{key}.log",
    threads: 4
    resources:
        mem_mb=32000,
        runtime=60,
    shell:
        "python workflow/scripts/merge.py --entry {output} > {log} 2>&1"


rule view_adapter:
    input:
        EPOCH,
        base_gate,
        gates_of("train"),
        entry=stamp_of("train"),
    output:
        "results/models/{model}/adapter/adapter_model.safetensors",
        "results/models/{model}/adapter/adapter_config.json",
        "results/models/{model}/adapter/train_results.json",
        "results/models/{model}/adapter/eval_results.json",
        "results/models/{model}/adapter/log_history.json",
        report(
            "results/models/{model}/adapter/training_loss.png",
            caption="../report/training_loss.rst",
            category="Training",
            labels={"model": "{model}", "figure": "training loss"},
        ),
        report(
            "results/models/{model}/adapter/training_eval_loss.png",
            caption="../report/training_eval_loss.rst",
            category="Training",
            labels={"model": "{model}", "figure": "validation loss"},
        ),
        "results/models/{model}/adapter/run.json",
    log:
        "results/logs/view/adapter/{model}.log",
    localrule: True
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"


rule view_merged:
    input:
        EPOCH,
        base_gate,
        gates_of("merge"),
        entry=stamp_of("merge"),
    output:
        "results/models/{model}/merged/config.json",
        "results/models/{model}/merged/merge_check.json",
    log:
        "results/logs/view/merged/{model}.log",
    localrule: True
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --everything > {log} 2>&1"

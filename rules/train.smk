# Supervised rows and a base model -> adapter -> merged model.


rule make_train:
    input:
        needs_of("train"),
    output:
        "results/.entries/train/{model}/{key}",
    log:
        "results/logs/train/{model}/{key}.log",
    threads: training_threads
    resources:
        mem_mb=grows(32000),
        runtime=training_minutes,
        nodes=training_nodes,
    message:
        "Train {wildcards.model} by LoRA on the supervised rows"
    # exec, so that a scheduler's SIGTERM leaves training the time to save: a shell before it would end at once, and the job with it.
    shell:
        "exec python workflow/scripts/train.py --entry {output} > {log} 2>&1"


rule make_merge:
    input:
        needs_of("merge"),
    output:
        "results/.entries/merge/{model}/{key}",
    log:
        "results/logs/merge/{model}/{key}.log",
    threads: 4
    resources:
        mem_mb=of_size(8000, 7),
        runtime=grows(60),
    message:
        "Merge the adapter of {wildcards.model} into its base, and check the merged model"
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
        report(
            "results/.pages/models/{model}/adapter/train_results.html",
            caption="../report/train_results.rst",
            category="Training",
            labels={
                "result": "figures of the training",
                "model": "{model}",
                "variant": "adapter",
            },
        ),
        "results/models/{model}/adapter/eval_results.json",
        report(
            "results/.pages/models/{model}/adapter/eval_results.html",
            caption="../report/eval_results.rst",
            category="Training",
            labels={
                "result": "figures on the validation rows",
                "model": "{model}",
                "variant": "adapter",
            },
        ),
        "results/models/{model}/adapter/log_history.json",
        report(
            "results/models/{model}/adapter/training_loss.png",
            caption="../report/training_loss.rst",
            category="Training",
            labels={
                "result": "training loss",
                "model": "{model}",
                "variant": "adapter",
            },
        ),
        report(
            "results/models/{model}/adapter/training_eval_loss.png",
            caption="../report/training_eval_loss.rst",
            category="Training",
            labels={
                "result": "validation loss",
                "model": "{model}",
                "variant": "adapter",
            },
        ),
        "results/models/{model}/adapter/run.json",
        report(
            "results/.pages/models/{model}/adapter/run.html",
            caption="../report/run.rst",
            category="Training",
            labels={
                "result": "options and machine",
                "model": "{model}",
                "variant": "adapter",
            },
        ),
    log:
        "results/logs/view/adapter/{model}.log",
    localrule: True
    message:
        "Show the adapter of {wildcards.model} in results/models"
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
        report(
            "results/.pages/models/{model}/merged/merge_check.html",
            caption="../report/merge_check.rst",
            category="Export",
            labels={
                "result": "merged model against base with adapter",
                "model": "{model}",
                "variant": "merged",
            },
        ),
    log:
        "results/logs/view/merged/{model}.log",
    localrule: True
    message:
        "Show the merged model of {wildcards.model} in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --everything > {log} 2>&1"

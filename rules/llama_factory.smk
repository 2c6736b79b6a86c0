# A model's stanza -> the same training for LLaMA-Factory.


rule make_llama_factory:
    input:
        needs_of("llama_factory"),
    output:
        "results/.entries/llama_factory/{model}/{key}",
    log:
        "results/logs/llama_factory/{model}/{key}.log",
    localrule: True
    threads: 1
    message:
        "Write the training of {wildcards.model} in LLaMA-Factory's words"
    shell:
        "python workflow/scripts/llama_factory.py --entry {output} > {log} 2>&1"


rule view_llama_factory:
    input:
        EPOCH,
        gates_of("llama_factory"),
        entry=stamp_of("llama_factory"),
    output:
        "results/models/{model}/train_{model}_lora.yaml",
    log:
        "results/logs/view/llama_factory/{model}.log",
    localrule: True
    message:
        "Show the training of {wildcards.model} in LLaMA-Factory's words in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} > {log} 2>&1"

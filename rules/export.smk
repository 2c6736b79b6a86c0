# Merged model -> GGUF and importance matrix -> quants -> bundle.


rule make_convert:
    input:
        needs_of("convert"),
    output:
        "results/.entries/convert/{model}/{full}/{key}",
    log:
        "results/logs/convert/{model}/{full}/{key}.log",
    threads: 2
    resources:
        mem_mb=of_size(4000, 2),
        runtime=grows(60),
    message:
        "Convert {wildcards.model} to GGUF ({wildcards.full})"
    shell:
        "python workflow/scripts/convert.py --entry {output} > {log} 2>&1"


rule make_imatrix:
    input:
        needs_of("imatrix"),
    output:
        "results/.entries/imatrix/{model}/{key}",
    log:
        "results/logs/imatrix/{model}/{key}.log",
    threads: 8
    resources:
        mem_mb=of_size(6000, 7),
        runtime=grows(240),
    message:
        "Compute the importance matrix of {wildcards.model} from training rows"
    shell:
        "python workflow/scripts/imatrix.py --entry {output} > {log} 2>&1"


rule make_quantise:
    input:
        needs_of("quantise"),
    output:
        "results/.entries/quantise/{model}/{quant}/{key}",
    log:
        "results/logs/quantise/{model}/{quant}/{key}.log",
    threads: 4
    resources:
        mem_mb=of_size(4000, 1),
        runtime=grows(60),
    message:
        "Quantise {wildcards.model} to {wildcards.quant}"
    shell:
        "python workflow/scripts/quantise.py --entry {output} > {log} 2>&1"


rule make_choose:
    input:
        needs_of("choose"),
    output:
        "results/.entries/choose/{model}/{key}",
    log:
        "results/logs/choose/{model}/{key}.log",
    threads: 4
    resources:
        mem_mb=of_size(8000, 3),
        runtime=grows(480),
    message:
        "Choose the first quant of {wildcards.model} that passes its gates"
    shell:
        "python workflow/scripts/choose.py --entry {output} --threads {threads} > {log} 2>&1"


rule make_bundle:
    input:
        needs_of("bundle"),
    output:
        "results/.entries/bundle/{model}/{quant}/{key}",
    log:
        "results/logs/bundle/{model}/{quant}/{key}.log",
    threads: 1
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    message:
        "Bundle {wildcards.model} as {wildcards.quant} with its model card and terms"
    shell:
        "python workflow/scripts/bundle.py --entry {output} > {log} 2>&1"


rule view_full:
    input:
        EPOCH,
        base_gate,
        gates_of("convert"),
        entry=stamp_of("convert"),
    output:
        "results/models/{model}/gguf/{model}-{full}.gguf",
    log:
        "results/logs/view/full/{model}/{full}.log",
    localrule: True
    message:
        "Show {wildcards.model} as GGUF ({wildcards.full}) in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --file model.gguf > {log} 2>&1"


rule view_imatrix:
    input:
        EPOCH,
        base_gate,
        gates_of("imatrix"),
        entry=stamp_of("imatrix"),
    output:
        "results/models/{model}/gguf/{model}-imatrix.gguf",
    log:
        "results/logs/view/imatrix/{model}.log",
    localrule: True
    message:
        "Show the importance matrix of {wildcards.model} in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --file imatrix.gguf > {log} 2>&1"


ruleorder: view_choice > view_quant


rule view_choice:
    input:
        EPOCH,
        base_gate,
        gates_of("choose"),
        entry=stamp_of("choose"),
    output:
        "results/models/{model}/gguf/{model}-AUTO.gguf",
    log:
        "results/logs/view/choice/{model}.log",
    localrule: True
    message:
        "Show the chosen quant of {wildcards.model} in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --file model.gguf > {log} 2>&1"


rule view_quant:
    input:
        EPOCH,
        base_gate,
        gates_of("quantise"),
        entry=stamp_of("quantise"),
    output:
        "results/models/{model}/gguf/{model}-{quant}.gguf",
    log:
        "results/logs/view/quant/{model}/{quant}.log",
    localrule: True
    message:
        "Show {wildcards.model} as {wildcards.quant} in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --file model.gguf > {log} 2>&1"


rule view_bundle:
    input:
        EPOCH,
        base_gate,
        gates_of("bundle"),
        entry=stamp_of("bundle"),
    output:
        "results/models/{model}/bundle/{quant}/README.md",
        "results/models/{model}/bundle/{quant}/checksums.txt",
    log:
        "results/logs/view/bundle/{model}/{quant}.log",
    localrule: True
    message:
        "Show the bundle of {wildcards.model} as {wildcards.quant} in results/models"
    shell:
        "python workflow/scripts/link.py {input.entry} {output} --everything > {log} 2>&1"

"""Software by conda or apptainer: what Snakemake plans where a site has them (programs in their place say their versions alone)."""

import os

import pytest
from clone import Clone

from mindgauge.files import write_text

PROGRAMS = {
    "conda": """\
#!/bin/sh
case "$*" in
  *--version*) echo "conda 25.1.0" ;;
  *info*) echo '{"conda_version": "25.1.0", "conda_prefix": "/", "platform": "linux-64"}' ;;
  *config*) echo '{"get": {"channel_priority": "strict"}}' ;;
  *) exit 1 ;;
esac
""",
    "apptainer": """\
#!/bin/sh
[ "$*" = --version ] && echo "apptainer version 1.3.6"
""",
}


@pytest.mark.parametrize(("method", "said"), [("conda", "Conda environment envs/conda/mindgauge.yaml will be created."), ("apptainer", "raw_gate")])  # fmt: skip
def test_the_whole_workflow_is_planned_with(method, said, tmp_path, monkeypatch):
    for model in ("tiny-qwen2", "tiny-llama"):
        write_text(tmp_path / "tiny" / model / "config.json", "{}")
    write_text(tmp_path / "bin" / method, PROGRAMS[method])
    (tmp_path / "bin" / method).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    clone = Clone.new(tmp_path / "clone", tmp_path / "store", tmp_path / "tiny")
    done = clone.snakemake("-n", "--sdm", method, "--", "all")
    assert said in done and "view_manifest" in done
    (tmp_path / "bin" / method).unlink()
    refused = clone.snakemake("-n", "--sdm", method, "--", "all", check=False)
    assert clone.status != 0 and method in refused

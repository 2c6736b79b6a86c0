"""A full disk, for real: the store on a file system of two megabytes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mindgauge.recipe import Recipe
from mindgauge.store import Store

# A file system of its own, in a namespace of its own: it needs no rights, and goes with the process.
MOUNT = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
STEP = """
import os, sys
from mindgauge.step import run
def work(step):
    (step.work / "checkpoint").write_bytes(b"c" * 1000)
    (step.out / "a.bin").write_bytes(os.urandom({size}))
run("split", work, None)
"""


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """An entry that is planned, and its stamp; the store is not made."""
    monkeypatch.chdir(tmp_path)
    recipe = Recipe("split", (), "data", {})
    (tmp_path / "small").mkdir()
    recipe.write(tmp_path / "small/store", False)
    for name, size in {"large": 4_000_000, "little": 300_000}.items():
        Path(f"{name}.py").write_text(STEP.format(size=size))
    if subprocess.run([*MOUNT, "mount -t tmpfs -o size=2m none small"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here, in a namespace neither (unshare --user --mount)")
    return recipe.where, Path("results/.entries") / recipe.where


def in_the_small_store(script):
    """Runs a shell script beside the mounted file system, which is copied to `kept` at its end."""
    whole = f"mount -t tmpfs -o size=2m none small && {{ {script}\n}}; cp -r small/store kept"
    return subprocess.run([*MOUNT, whole], capture_output=True, text=True)


def test_a_full_disk_is_told_and_leaves_no_entry_and_harms_none(planned):
    where, stamp = planned
    earlier = "import sys; from pathlib import Path; from mindgauge.store import Store; s = Store(Path('small/store')); s.open(); a = s.aside('split/x/{0}'); (a / 'f').write_text('1'); s.put('split/x/{0}', a, {{}}, {{}})".format(
        "0" * 20
    )
    python = sys.executable
    done = in_the_small_store(
        f'{python} -c "{earlier}"; {python} large.py --entry {stamp}; echo status $?; ls small/store/.aside small/store/.leases; '
        f"cat small/store/.work/{where}/checkpoint | wc -c"
    )
    assert "status 1" in done.stdout and "mindgauge: the disk is full; nothing half-written was kept" in done.stderr
    assert "Traceback" not in done.stderr and "instead: free some space" in done.stderr
    store = Store(Path("kept"))
    assert list(store.entries()) == ["split/x/" + "0" * 20] and store.verify("split/x/" + "0" * 20, anew=True) == []
    assert (
        not stamp.exists()
        and not list((store.root / ".aside").iterdir())
        and not list((store.root / ".leases").iterdir())
    )
    assert done.stdout.split()[-1] == "1000"  # what a retry goes on from


def test_a_disk_that_is_full_before_anything_is_written_is_told_and_works_again_when_there_is_room(planned):
    where, stamp = planned
    python = sys.executable
    done = in_the_small_store(
        f"dd if=/dev/zero of=small/fill bs=1k 2>/dev/null; {python} little.py --entry {stamp}; echo status $?; "
        f"rm small/fill; {python} little.py --entry {stamp}; echo status $?"
    )
    assert done.stdout.split() == ["status", "1", "status", "0"], done.stdout + done.stderr
    assert "the disk is full" in done.stderr and "Traceback" not in done.stderr
    assert Store(Path("kept")).verify(where, anew=True) == [] and stamp.is_file()
    shutil.rmtree("kept")

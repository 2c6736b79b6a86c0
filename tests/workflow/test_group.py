"""Two users of a group, each with a clone of their own, on one store: real runs, as real users."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from clone import Clone

GROUP, FIRST, SECOND = 54000, 54001, 54002
# The user may read Python and its packages wherever the tests have them (a home of root's, say). Write it may not, nor own.
SETPRIV = [
    "setpriv",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
    f"--regid={GROUP}",
]


def possible() -> bool:
    """Can what runs here be other users?"""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    return subprocess.run([*SETPRIV, f"--reuid={FIRST}", "true"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not possible(), reason="needs root and setpriv, to be two other users"),
]


@pytest.fixture
def users(tiny):
    """A clone of each user's, and a place for their store."""
    root = Path(tempfile.mkdtemp(prefix="mindgauge-group-"))
    root.chmod(0o755)
    (root / "place").mkdir(mode=0o755)
    os.chown(root / "place", FIRST, GROUP)
    clones = []
    for user in (FIRST, SECOND):
        clone = Clone.new(root / f"{user}/clone", root / "place/store", tiny)
        clone.before = [*SETPRIV, f"--reuid={user}"]
        clone.environment = {"HOME": str(root / str(user)), "LOGNAME": f"user{user}", "PYTHONDONTWRITEBYTECODE": "1"}
        (clone.root / "group.yaml").write_text("store_group: true")
        subprocess.run(["chown", "-R", f"{user}:{GROUP}", root / str(user)], check=True)
        clones.append(clone)
    yield clones
    shutil.rmtree(root)


def made(clone, *overlays):
    return {rule for rule in clone.ran("labels", overlays=("group.yaml", *overlays)) if rule.startswith("make_")}


def owners(store):
    return {path.stat().st_uid for path in store.rglob("manifest.json")}


def test_what_one_user_made_costs_another_nothing(users):
    first, second = users
    assert {"make_unify", "make_label", "make_merge_labels"} <= made(first)
    assert owners(first.store) == {FIRST}
    assert not made(second) and owners(first.store) == {FIRST}
    rows = [(clone.root / "results/labels/dataset.jsonl").read_bytes() for clone in users]
    assert rows[0] == rows[1] and rows[0]
    # The second one's own work lies beside it, and serves the first.
    (second.root / "another.yaml").write_text("label: {vote: median}")
    (first.root / "another.yaml").write_text("label: {vote: median}")
    assert made(second, "another.yaml") == {"make_merge_labels"} and owners(first.store) == {FIRST, SECOND}
    assert not made(first, "another.yaml")
    assert "0 wrong" in first.snakemake("verify", overlays=("group.yaml", "another.yaml"))
    # Private to the group; and neither is served to nor harmed by the other's clone.
    assert not [path for path in first.store.rglob("*") if path.stat().st_mode & 0o007]
    assert not made(first) and not made(second)

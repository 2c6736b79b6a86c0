"""A store that several users of a group share: needs root, to be several users."""

import os
import shutil
import tempfile
import traceback
from pathlib import Path

import pytest

from mindgauge.recipe import STAMPS, Recipe
from mindgauge.step import make
from mindgauge.store import Store

GROUP, FIRST, SECOND = 54000, 54001, 54002

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as two other users")


@pytest.fixture
def shared():
    """A directory that everybody can pass through, with a group store in it and a home for each user."""
    root = Path(tempfile.mkdtemp(prefix="mindgauge-group-"))
    root.chmod(0o755)
    (root / "place").mkdir()
    (root / "place").chmod(0o755)  # whatever umask a test before left
    os.chown(root / "place", FIRST, GROUP)
    for user in (FIRST, SECOND, SECOND + 1):
        (root / str(user)).mkdir()
        os.chown(root / str(user), user, GROUP)
    yield root
    shutil.rmtree(root)


def as_user(user, group, root, function):
    """Runs a function as another user, in a home of its own, and hands back whether it ended well."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
            os.chdir(root / str(user))
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def planned(store, number):
    recipe = Recipe("split", (), "data", {"n": number})
    recipe.write(store.root, True)
    return recipe.where, STAMPS / recipe.where


def test_a_second_user_takes_makes_and_goes_on_what_the_first_left(shared):
    store = Store(shared / "place/store", group=True)

    def write(step):
        (step.out / "a.txt").write_text(str(os.getuid()))

    def killed(step):
        (step.work / "checkpoint").write_text("step 7")
        os._exit(0)

    def refuse(step):
        raise AssertionError("it is there already")

    def first():
        os.umask(0o007)
        store.open()
        make("split", planned(store, 1)[1], write)
        make("split", planned(store, 2)[1], killed)  # the process ends here

    def second():
        store.open()
        where, stamp = planned(store, 1)
        make("split", stamp, refuse)
        assert (store.path(where) / "a.txt").read_text() == str(FIRST) and store.verify(where, anew=True) == []
        where, stamp = planned(store, 2)

        def resume(step):
            (step.out / "a.txt").write_text((step.work / "checkpoint").read_text())

        make("split", stamp, resume)
        assert (store.path(where) / "a.txt").read_text() == "step 7"
        make("split", planned(store, 3)[1], write)

    def back():
        where, stamp = planned(store, 3)
        make("split", stamp, refuse)
        assert store.verify(where, anew=True) == []
        store.remove(where)  # as gc does, of another's entry

    assert as_user(FIRST, GROUP, shared, first)
    assert (store.root.stat().st_mode & 0o7777, store.root.stat().st_gid) == (0o2770, GROUP)
    assert as_user(SECOND, GROUP, shared, second)
    assert as_user(FIRST, GROUP, shared, back)
    assert not as_user(SECOND + 1, SECOND + 1, shared, lambda: list(store.root.iterdir()))  # of no group


def test_a_store_that_was_moved_serves_what_it_holds(shared):
    def move():
        store = Store(Path("here"))
        store.open()
        where, stamp = planned(store, 1)
        make("split", stamp, lambda step: (step.out / "a.txt").write_text("one") and None)
        shutil.move("here", "there")
        shutil.rmtree("results")  # a new clone
        moved = Store(Path("there"))
        recipe = Recipe("split", (), "data", {"n": 1})
        recipe.write(moved.root, False)

        def refuse(step):
            raise AssertionError("it is there already")

        make("split", stamp, refuse)
        assert stamp.is_file() and moved.verify(where, anew=True) == []

    assert as_user(FIRST, GROUP, shared, move)

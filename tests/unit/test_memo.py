"""Results that hold as long as what they asked says the same."""

import os

import pytest

from mindgauge.files import read_json, write_json
from mindgauge.memo import FileMemo, Memo


class World:
    """Answers that can change, and a memo over them that counts."""

    def __init__(self, **answers):
        self.answers, self.asked, self.computed = answers, [], []
        self.memo = Memo(self.ask)

    def ask(self, question):
        self.asked.append(question)
        if question not in self.answers:
            raise LookupError(question)
        return self.answers[question]

    def result(self, name, *questions, of=()):
        def compute():
            self.computed.append(name)
            return [self.memo.ask(question) for question in questions] + [self.result(*each)[0] for each in of]

        return self.memo.result(name, compute)


def test_a_result_is_computed_once_until_an_answer_changes():
    world = World(a=[1], b=[2])
    assert world.result("x", "a", "b") == ([[1], [2]], ("a", "b")) == world.result("x", "a", "b")
    assert world.computed == ["x"]
    world.answers["b"] = [3]
    assert world.result("x", "a", "b")[0] == [[1], [3]] and world.computed == ["x", "x"]


def test_a_result_rests_on_what_its_parts_rest_on():
    world = World(a=[1], b=[2], c=[3])
    whole = ("whole", "a")
    parts = [("x", "b"), ("y", "c")]
    assert world.result(*whole, of=parts)[1] == ("a", "b", "c")
    assert world.result("x", "b")[1] == ("b",)
    world.answers["c"] = [4]
    assert world.result(*whole, of=parts)[0] == [[1], [[2]], [[4]]]
    assert world.computed == ["whole", "x", "y", "whole", "y"]


def test_a_part_that_was_there_before_counts_too():
    world = World(a=[1], b=[2])
    world.result("x", "b")
    assert world.result("whole", "a", of=[("x", "b")])[1] == ("a", "b")
    world.answers["b"] = [3]
    assert world.result("whole", "a", of=[("x", "b")])[0] == [[1], [[3]]]


def test_while_a_question_has_no_answer_nothing_is_computed_and_each_call_raises():
    world = World(a=[1])
    for _ in range(3):
        with pytest.raises(LookupError, match="b"):
            world.result("whole", "a", of=[("x", "b")])
    assert world.computed == ["whole", "x"]
    world.answers["b"] = [2]
    assert world.result("whole", "a", of=[("x", "b")]) == ([[1], [[2]]], ("a", "b"))


def test_an_answer_that_is_lost_again_is_not_remembered():
    world = World(a=[1])
    world.result("x", "a")
    del world.answers["a"]
    with pytest.raises(LookupError):
        world.result("x", "a")
    world.answers["a"] = [2]
    assert world.result("x", "a")[0] == [[2]]


def test_an_error_of_the_computation_is_raised_each_time():
    world = World(a=[1])

    def fail():
        world.computed.append("x")
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            world.memo.result("x", fail)
    assert world.computed == ["x", "x"]


def test_a_look_asks_once():
    world = World(a=[1])
    with world.memo.look():
        for _ in range(3):
            world.result("x", "a")
        assert world.asked == ["a"]
    world.result("x", "a")
    assert world.asked == ["a", "a"]


def test_a_file_is_read_again_when_it_changed_and_its_content_stays_the_same_object(tmp_path):
    read = []
    memo = FileMemo(lambda path: read.append(path) or read_json(path))
    path = tmp_path / "gate.json"
    assert memo(path) is None
    write_json(path, {"a": 1})
    first = memo(path)
    assert first == {"a": 1} and memo(path) is first and len(read) == 1
    os.utime(path)
    assert memo(path) is first and len(read) == 2  # touched, the same
    write_json(path, {"a": 2})
    assert memo(path) == {"a": 2}
    path.unlink()
    assert memo(path) is None

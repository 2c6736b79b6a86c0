import io

from mindgauge import progress


def test_progress_tells_how_many_how_fast_and_how_long():
    out = io.StringIO()
    assert list(progress.Progress(range(3), what="rows", stream=out)) == [0, 1, 2]
    assert out.getvalue().startswith("3/3 rows, ")
    shown = progress.Progress(iter(()), total=100, what="rows").line(20, 10.0)
    assert shown == "20/100 rows, 2.0/s, 40 s left"
    assert progress.span(3700) == "1 h 01 min" and progress.span(65) == "1 min 05 s"


def test_progress_also_goes_to_the_terminal_that_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(progress.TERMINAL, str(tmp_path / "terminal"))
    monkeypatch.setattr(progress, "job", "train m")
    progress.tell("step 1/2")
    assert (tmp_path / "terminal").read_text() == "  train m: step 1/2\n" and capsys.readouterr().err == "step 1/2\n"
    monkeypatch.setenv(progress.TERMINAL, str(tmp_path / "no/such"))
    progress.tell("step 2/2")

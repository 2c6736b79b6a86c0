"""How the data steps grow: ingest + unify + minimise, then the split groups, at several sizes, beside a plain pandas version of
the first three; each run in a process of its own, in turn, on records made here.

    python tests/benchmarks/data_steps.py --records 10000 100000 1000000
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from mindgauge import ingesting, minimising, splitting, unifying
from mindgauge.files import write_jsonl
from mindgauge.labels import Scheme

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"
RULES = {"threshold": 2.5, "min_chars": 80, "length_rule": "total", "max_turns": 12, "max_chars": 2000}
NEAR, PERMUTATIONS, COPIES, TURNS = 0.7, 128, 0.03, 10
STUDENT = ("我现在读高三，", "我是大二的学生，", "我今年上初二，")
ADULT = ("我在公司上班，", "我女儿上初三，", "结婚五年了，")
IDENTITIES = ("我叫周明远。", "电话13800000001。", "室友王思远也这么说。", "我在海宁市第三中学。", "我今年17岁。")


def words() -> list[str]:
    """The two-character words of the synthetic sample's sentences: shuffled they make sentences that no two records share."""
    import rjieba

    sys.path.append(str(SCRIPTS))
    import make_sample

    held = [text for of in (make_sample.DEPRESSION, make_sample.ANXIETY) for lines in of.values() for text in lines]
    held += [text for lines in make_sample.BURDENS.values() for text in lines] + make_sample.LIGHT
    return sorted({word for text in held for word in rjieba.cut(text) if len(word) == 2})


def record(rng: random.Random, vocabulary: list[str]) -> dict[str, object]:
    """A dialogue of about 20 turns and 500 characters, the sizes of the real sets."""

    def sentence() -> str:
        return "".join(rng.choices(vocabulary, k=rng.randint(4, 10))) + "。"

    turns = []
    for number in range(TURNS):
        opening = rng.choice(STUDENT if rng.random() < 0.5 else ADULT) if number == 0 else ""
        planted = rng.choice(IDENTITIES) if rng.random() < 0.1 else ""
        turns.append({"role": "user", "content": opening + sentence() + planted + sentence()})
        turns.append({"role": "assistant", "content": sentence() + sentence()})
    return {"messages": turns}


def make(count: int, path: Path) -> None:
    """Writes `count` records; COPIES of them are an earlier one with a changed last turn."""
    rng, vocabulary = random.Random(count), words()
    kept: list[dict[str, object]] = []

    def rows():
        for _ in range(count):
            if kept and rng.random() < COPIES:
                old = rng.choice(kept)["messages"]
                yield {"messages": [*old[:-1], {"role": "assistant", "content": "".join(rng.choices(vocabulary, k=9))}]}
                continue
            row = record(rng, vocabulary)
            if len(kept) < 5000:
                kept.append(row)
            yield row

    write_jsonl(path, rows())


def ours(raw: Path, out: Path, threads: int) -> None:
    """The three steps as the rules run them."""
    scheme = Scheme.load(SCRIPTS.parents[1] / "config/labels.yaml").to_dict()
    for name in ("ingest", "unify", "minimise"):
        (out / name).mkdir(parents=True, exist_ok=True)
    ingesting.ingest(raw, out / "ingest", "made", "messages", "train", {}, scheme)
    unifying.unify([out / "ingest"], out / "unify", threads)
    minimising.minimise(out / "unify", out / "minimise", threads, **RULES)


def with_pandas(raw: Path, out: Path) -> None:
    """The same steps as a notebook would write them: the whole set as a frame, a function a column, one process."""
    import pandas

    from mindgauge.readers import messages
    from mindgauge.readers.text import Seen
    from mindgauge.students import judge, themes

    seen = Seen()
    frame = pandas.read_json(raw, lines=True)
    frame["record"] = [
        messages.from_item({"messages": of}, str(number), seen) for number, of in enumerate(frame["messages"])
    ]
    frame["line"] = frame["record"].map(lambda of: unifying.unify_record(of).line)
    frame = frame[frame["line"] != b""]
    frame["id"] = frame["record"].map(lambda of: of.id)
    frame = frame.drop_duplicates("id")
    frame["verdict"] = frame["record"].map(judge)
    frame["themes"] = frame["record"].map(themes)
    frame["reason"] = [
        minimising.minimised(of, verdict, **RULES)
        for of, verdict in zip(frame["record"], frame["verdict"], strict=True)
    ]
    frame = frame[frame["reason"] == ""]
    frame["text"] = frame["record"].map(
        lambda of: json.dumps([[turn.role, turn.text] for turn in of.turns], ensure_ascii=False)
    )
    frame[["id", "themes", "text"]].to_json(out / "minimised.jsonl", orient="records", lines=True, force_ascii=False)


def grouped(out: Path) -> None:
    """The split groups of what was minimised."""
    (out / "split").mkdir(exist_ok=True)
    splitting.split(out / "minimise", out / "split", NEAR, PERMUTATIONS)


def resident(session: int) -> int:
    """Bytes that the processes of a session hold, shared pages by share (PSS)."""
    total = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                    rollup = (process / "smaps_rollup").read_text()
                    total += 1024 * int(rollup.split("\nPss:")[1].split()[0])
            except (OSError, IndexError):
                continue
    return total


def timed(*arguments: str) -> tuple[float, float]:
    """Runs this file with `arguments` in a session of its own: seconds and peak MB of all its processes."""
    peak, done = 0, threading.Event()
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, __file__, *arguments], start_new_session=True, stderr=subprocess.DEVNULL
    )

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.25):
            peak = max(peak, resident(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = process.wait()
    seconds = time.monotonic() - start
    done.set()
    watcher.join()
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed with status {status}")
    return seconds, peak / 1e6


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000], help="sizes to measure")
    parser.add_argument("--pandas-up-to", type=int, default=100_000, help="the pandas version holds all in memory")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="processes of unify and minimise")
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        what, *paths = arguments.run
        places = [Path(path) for path in paths]
        {
            "ours": lambda: ours(*places, arguments.threads),
            "pandas": lambda: with_pandas(*places),
            "split": lambda: grouped(*places),
        }[what]()
        return
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {arguments.threads} processes"
    )
    print(
        f"{'records':>9}  {'ours s':>8} {'rec/s':>7} {'MB':>6}   {'pandas s':>8} {'rec/s':>7} {'MB':>6}  {'ratio':>6}   {'groups s':>8} {'rec/s':>7} {'MB':>6}"
    )
    for count in arguments.records:
        with tempfile.TemporaryDirectory() as directory:
            raw, out = Path(directory, "made.jsonl"), Path(directory, "out")
            make(count, raw)
            out.mkdir()
            threads = ("--threads", str(arguments.threads))
            seconds, peak = timed(*threads, "--run", "ours", str(raw), str(out))
            line = f"{count:>9}  {seconds:>8.1f} {count / seconds:>7.0f} {peak:>6.0f}   "
            if count <= arguments.pandas_up_to:
                plain, held = timed("--run", "pandas", str(raw), str(out))
                line += f"{plain:>8.1f} {count / plain:>7.0f} {held:>6.0f}  {plain / seconds:>5.1f}x   "
            else:
                line += f"{'–':>8} {'–':>7} {'–':>6}  {'–':>6}   "
            kept = sum(1 for _ in (out / "minimise/unified_min.jsonl").open("rb"))
            seconds, peak = timed("--run", "split", str(out))
            print(f"{line}{seconds:>8.1f} {kept / seconds:>7.0f} {peak:>6.0f}", flush=True)


if __name__ == "__main__":
    main()

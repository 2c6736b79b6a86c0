"""Asks a finished bundle: what a student says -> one line of JSON with the labels. A screening aid, not a diagnosis.

The text is the argument, or else standard input. With --jsonl standard input holds rows {"id": …, "text": "…"} or
{"id": …, "messages": [{"role": "user", "content": "…"}, …]}, and a row is answered by one line, in the same order. With --serve it
answers over HTTP. Exit status 1 if anything was not answered."""

import argparse
import json
import sys
from pathlib import Path

from mindgauge.errors import UserError
from mindgauge.step import exit_on_user_error

# Rows answered together where a GPU is there to be kept busy.
TOGETHER = 16


def _asked(given: list[str]) -> str:
    """The text given as argument or on standard input. Raises UserError if there is none."""
    if given:
        return given[0]
    if sys.stdin.isatty():
        raise UserError("there is no text", where="the command line", instead='assess.py --model … "a text", or a pipe')
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("the text is not valid Unicode", where="standard input", instead="UTF-8") from None


def _print(line: str) -> None:
    sys.stdout.buffer.write(line.encode() + b"\n")
    sys.stdout.buffer.flush()


def _answer(arguments: argparse.Namespace) -> bool:
    """Prints the answers; whether there was one for everything."""
    from mindgauge.answers import canonical
    from mindgauge.assessing import Assessor, Bundle, told
    from mindgauge.records import Turn

    bundle = Bundle.load(arguments.model)
    if not arguments.jsonl:
        turns = [Turn("client", _asked(arguments.text))]
        with Assessor(bundle, threads=arguments.threads) as assessor:
            choice = assessor.one(turns)
        found = told(choice, explain=True)
        _print(
            json.dumps(found, ensure_ascii=False) if arguments.explain else canonical(bundle.scheme, found["labels"])
        )
        return True
    rows = refused = 0
    with Assessor(bundle, records=TOGETHER, threads=arguments.threads) as assessor:
        for answer in assessor.answers(sys.stdin.buffer, arguments.explain):
            rows, refused = rows + 1, refused + ("error" in answer)
            _print(json.dumps(answer, ensure_ascii=False))
    if refused:
        print(f"mindgauge: {refused} of {rows} rows have no labels; their `error` says why", file=sys.stderr)
    return not refused


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="BUNDLE", help="results/models/<model>/bundle/<quant>"
    )
    parser.add_argument("text", nargs="*", help="what the student says, in quotes (others on this machine may see it)")
    parser.add_argument("--jsonl", action="store_true", help="rows of JSONL on standard input")
    parser.add_argument("--explain", action="store_true", help="the probability of every value, too")
    parser.add_argument("--threads", type=int, metavar="N", help="cores to use (default: all)")
    serving = parser.add_argument_group("serving")
    serving.add_argument("--serve", action="store_true", help="answer POST /assess and GET /health")
    serving.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    serving.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    serving.add_argument("--allow-remote", action="store_true", help="allow an address that others can reach")
    serving.add_argument(
        "--max-bytes", type=int, default=1 << 19, metavar="N", help="largest body of a request (default: %(default)s)"
    )
    arguments, unknown = parser.parse_known_args()
    # argparse itself would quote these, and they may be what a student said.
    if unknown or len(arguments.text) > 1:
        parser.error("one text in quotes, and only the options above; a text that begins with - is given behind --")
    if bool(arguments.text) + arguments.jsonl + arguments.serve > 1:
        parser.error("one of: a text, --jsonl, --serve")
    return arguments


if __name__ == "__main__":
    arguments = _arguments()
    with exit_on_user_error():
        if arguments.serve:
            from mindgauge.serving import serve

            serve(
                arguments.model,
                arguments.host,
                arguments.port,
                allow_remote=arguments.allow_remote,
                max_bytes=arguments.max_bytes,
                threads=arguments.threads,
            )
        elif not _answer(arguments):
            sys.exit(1)

"""The command line. Parses and prints; the work is in `pipelines`. Imports nothing heavy until a command needs it."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import __version__

DESCRIPTION = "Score a night's data with a model, on Apache Beam: at Arrow speed, and not one row lost."
EPILOG = "Exit status: 0 done; 2 the job, a flag or an input is wrong; 3 refused, nothing published; 1 anything else."


class _Parser(argparse.ArgumentParser):
    """Refuses abbreviations, and names the nearest flag or command for an unknown one."""

    as_json = False  # whether a mistake is told as JSON too; of all commands, so known before any is parsed

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        if _Parser.as_json:
            print(json.dumps({"status": "failed", "reason": "usage", "message": message}))
        self.exit(2, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            self.error(f"unknown command {value!r}{_nearest(value, list(action.choices))}")
        super()._check_value(action, value)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._subparsers is None:  # before a missing flag is told, which may be a mistyped one
            self._refuse_unknown(args or [])
        known, extra = super().parse_known_args(args, namespace)
        if hasattr(known, "keys"):  # argparse takes no positional argument that follows a flag
            known.keys += [word for word in extra if not word.startswith("-")]
            extra = [word for word in extra if word.startswith("-")]
        if extra:
            self._refuse(extra[0])
        return known, extra

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        names = {word: word.partition("=")[0] for word in words if word.startswith("--")}
        if unknown := [word for word, name in names.items() if name not in self._option_string_actions]:
            self._refuse(unknown[0])

    def _refuse(self, word: str) -> NoReturn:
        flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
        self.error(f"unknown argument {word}{_nearest(word.partition('=')[0], flags)}")


def _nearest(word: str, known: Sequence[str]) -> str:
    bare = {name.lstrip("-"): name for name in known}
    near = difflib.get_close_matches(word.lstrip("-"), bare, 1)
    return f"; did you mean {bare[near[0]]}?" if near else ""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(prog="highbeam", description=DESCRIPTION, epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"highbeam {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    _add_check(
        _command(
            commands,
            "check",
            "find everything that can be found before launch",
            usage="highbeam check JOB [options] [--job-description -- BEAM_FLAG ...]",
        )
    )
    _add_analyze(_command(commands, "analyze", "run the TensorFlow Transform analysis: the next version of the graph"))
    _add_package(_command(commands, "package", "put graph and trained model together: the next version of the model"))
    _add_run(
        _command(
            commands,
            "run",
            "score a night and publish it",
            usage="highbeam run JOB --date D [options] [-- BEAM_FLAG ...]",
        )
    )
    _add_lookup(_command(commands, "lookup", "show published predictions by key"))
    _add_rejects(_command(commands, "rejects", "show the rows that were turned away"))
    _add_replay(
        _command(
            commands,
            "replay",
            "score rejected rows again after a fix, into the same night",
            usage="highbeam replay JOB --date D [options] [-- BEAM_FLAG ...]",
        )
    )
    _command(commands, "runs", "show what ran, and which run is published")
    _add_infer(commands)
    return top


def _command(commands: Any, name: str, text: str, **settings: Any) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", **settings
    )
    command.add_argument("job", metavar="JOB", help="job.yaml, or the folder it lies in")
    command.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="override a value of the job, for example --set output.delta.path=/tmp/table; may be repeated",
    )
    command.add_argument("--json", action="store_true", help="print JSON and nothing else on standard output")
    return command


def _add_infer(commands: Any) -> None:
    text = "draft a job.yaml from data"
    command = commands.add_parser(
        "infer",
        help=text,
        description="Draft a job.yaml from the first rows of some files: CSV, JSON, logs, Parquet, Avro or TFRecord.",
    )
    command.add_argument("files", metavar="FILE", nargs="+", help="files of one kind")
    command.add_argument("--out", metavar="FILE", help="write the draft there, to a file that is not there yet")
    command.add_argument("--json", action="store_true", help="print the job as JSON, without remarks")


def _add_check(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--date", metavar="D", help="also look at the input of this night: YYYY-MM-DD, today or yesterday"
    )
    command.add_argument(
        "--job-description", action="store_true", help="print the job that Dataflow would get, and submit nothing"
    )


def _add_analyze(command: argparse.ArgumentParser) -> None:
    command.add_argument("--from", dest="date_from", metavar="D", help="first night to read")
    command.add_argument("--to", dest="date_to", metavar="D", help="last night to read")
    command.add_argument("--examples", metavar="DIR", help="write the transformed rows there as Parquet, to train on")


def _add_package(command: argparse.ArgumentParser) -> None:
    command.add_argument("--saved-model", metavar="DIR", required=True, help="the trained SavedModel")
    command.add_argument(
        "--transform", metavar="N", type=int, help="version of the transform graph; the latest without it"
    )


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--date", metavar="D", required=True, help="the night: YYYY-MM-DD, today or yesterday")
    command.add_argument("--force", action="store_true", help="publish again what is published already")
    command.add_argument("--detach", action="store_true", help="submit and return; for runners on other machines")
    command.add_argument("--dry-run", action="store_true", help="score into a temporary folder and publish nothing")
    command.add_argument("--limit", metavar="N", type=int, help="with --dry-run: only the first N records")
    command.add_argument("--model-version", metavar="N|published", help="score with this version of the model")


def _add_lookup(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "keys", metavar="KEY", nargs="*", help="a key; a composite one as a JSON object; after -- if negative"
    )
    command.add_argument("--keys-from", metavar="FILE", help="read keys from a file, one a line; - for standard input")
    command.add_argument("--date", metavar="D", help="the night; the newest published one without it")
    command.add_argument("--all-dates", action="store_true", help="look in every night")


def _add_rejects(command: argparse.ArgumentParser) -> None:
    command.add_argument("--date", metavar="D", help="the night; the newest one without it")
    command.add_argument("--run", metavar="ID", help="a run; the newest one of the night without it")
    command.add_argument(
        "--export", metavar="FILE", help="write them there, one JSON object a line, to mend and replay"
    )


def _add_replay(command: argparse.ArgumentParser) -> None:
    command.add_argument("--date", metavar="D", required=True, help="the night: YYYY-MM-DD, today or yesterday")
    command.add_argument(
        "--from", dest="export", metavar="FILE", help="an edited export of the rejects; only rows that it names"
    )
    command.add_argument("--model-version", metavar="N|published", help="score with this version of the model")
    command.add_argument("--other-model", action="store_true", help="score with another model than the night's")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    at = arguments.index("--") if "--" in arguments else len(arguments)
    arguments, rest = arguments[:at], arguments[at + 1 :]
    _Parser.as_json = "--json" in arguments
    options = parser().parse_args(arguments)
    if options.command == "lookup":
        options.keys += rest
    elif options.command not in ("check", "run", "replay") and rest:
        parser().error(f"{options.command} takes nothing after --, found {rest[0]}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from . import console

    return _guarded(lambda: int(getattr(console, options.command)(options, rest)), options.json)


def _guarded(command: Callable[[], int], as_json: bool) -> int:
    """Runs a command; a foreseen error becomes one message and its exit status."""
    from .schemas.errors import HighbeamError
    from .storage import StorageError

    try:
        return command()
    except HighbeamError as error:
        return _complain(str(error), error.reason, error.exit_code, as_json)
    except StorageError as error:
        return _complain(str(error), "storage", 2, as_json)
    except BrokenPipeError:  # `highbeam lookup … | head` closed its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}", "storage", 1, as_json)
    except KeyboardInterrupt as error:  # with a text where a job ran elsewhere
        told = str(error) or "interrupted; run the command again, staged splits are kept"
        return _complain(told, "interrupted", 1, as_json)


def _complain(message: str, reason: str, status: int, as_json: bool) -> int:
    print(f"highbeam: {message}", file=sys.stderr)
    if as_json:
        print(json.dumps({"status": "refused" if status == 3 else "failed", "reason": reason, "message": message}))
    return status


def entry() -> NoReturn:
    """The console script: `main`, ending so that the exit status is main's own.

    TensorFlow Transform's analysis makes CPython crash in the garbage collector while it shuts down, after all work is
    done; frozen objects are not collected.
    """
    import gc

    status = main()
    sys.stdout.flush()
    gc.freeze()
    sys.exit(status)


if __name__ == "__main__":
    entry()

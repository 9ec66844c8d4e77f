"""Lists the commands, runs the one that the user typed, and returns its exit code."""

from __future__ import annotations

import importlib
import logging
import sys
from contextlib import suppress

import click

from clir_bench.cli import signals
from clir_bench.cli.output import ReaderGoneError, say, silence_stdout
from clir_bench.core.display import shown
from clir_bench.core.provenance import VERSION
from clir_bench.errors import ClirBenchError

COMMANDS = {
    "run": "Run models on tasks and store their scores.",
    "merge": "Make results from vectors that several jobs have stored.",
    "score": "Score TREC run files made elsewhere against a task.",
    "show": "Print stored results as tables.",
    "compare": "Tell which differences between systems are real.",
    "disparity": "Measure how unequally systems serve languages.",
    "tasks": "List the tasks, or describe one.",
    "encoders": "List the models that can be named.",
    "languages": "List the languages and their resource tiers.",
    "analyze": "Show the terms that lexical systems make of texts.",
    "cache": "List, check and remove stored vectors.",
    "download": "Fetch tasks' data and models ahead of time.",
    "leaderboard": "Make leaderboards from stored results.",
    "distill": "Teach a multilingual student from an English model and bitext.",
    "align": "Make translation tables for psq from bitext.",
    "new-encoder": "Write a package with an encoder of your own.",
    "check-encoder": "Check that an encoder keeps an encoder's promises.",
    "submit": "Make the files of a pull request from stored results.",
    "validate": "Check a submission, as CI does.",
    "export": "Write results as mteb, model cards or ir_metadata take them.",
    "schema": "Print the JSON schema of results.",
}


class _LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"clir_bench.cli.{cmd_name.replace('-', '_')}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS:
            from clir_bench.errors import UnknownNameError

            raise UnknownNameError("command", args[0], COMMANDS, "`clir-bench --help` lists them.")
        resolved = super().resolve_command(ctx, args)
        signals.finish_first()
        return resolved


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: clir-bench run --model hashing --task miracl --sample",
)
@click.version_option(VERSION, prog_name="clir-bench")
def cli() -> None:
    """Evaluate cross-lingual retrieval: the right number, per language and per resource tier.

    Run a model on a task, score a run made elsewhere, or look at what is stored. Results go to
    the folder `results`, one JSON file per system and task, with run files beside it.
    """


def run(arguments: list[str] | None) -> int:
    """Run the command line and return its exit code."""
    _log_to_stderr()
    try:
        code = _finished(arguments)
    except ClirBenchError as error:
        code = _failed(str(error), error.exit_code)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say(signals.said())
        return signals.exit_code()
    except MemoryError:
        code = _failed("out of memory; try a smaller --batch-size or --top-k")
    except SystemExit as error:  # a library's; plugins are guarded
        code = _failed(f"a library ended the command by sys.exit({shown(error.code)})")
    except OSError as error:  # of a file that the code above says nothing of
        place = "" if error.filename is None else f"{error.filename}: "
        code = _failed(f"{place}{error.strerror or error}")
    if code and signals.was_heard():  # an error that a library made from the signal
        say(signals.said())
        return signals.exit_code()
    return code


def _finished(arguments: list[str] | None) -> int:
    """Run the command line until all output is written."""
    try:
        code = cli.main(args=arguments, prog_name="clir-bench", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except ReaderGoneError:  # `| head`; click would exit with 1
        silence_stdout()
        return 0
    return code if isinstance(code, int) else 0


def _failed(message: str, code: int = 1) -> int:
    say(f"error: {message}")
    with suppress(ClirBenchError, OSError, ValueError):
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    silence_stdout()  # or the interpreter would try once more, and complain
    return code


class _ToStderr(logging.Handler):
    """Writes to what stderr is when there is something to say; callers may exchange it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        say(self.format(record))


def _log_to_stderr() -> None:
    # Only this package: other libraries that log have their own handlers.
    logger = logging.getLogger("clir_bench")
    if not logger.handlers:
        handler = _ToStderr()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    # Users always need the disk use of a run, and the step where a training continues.
    for name in ("search.vectors", "distill.training"):
        logging.getLogger(f"clir_bench.{name}").setLevel(logging.INFO)

"""The command line: parsing and printing, nothing else.

Commands are imported when they are called, so that `clir-bench --help` answers at once.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys

import click

from clir_bench import __version__
from clir_bench.cli.output import echo
from clir_bench.errors import ClirBenchError

INTERRUPTED = 130
_COMMANDS = {
    "run": "Run models on tasks and store their scores.",
    "merge": "Make results from vectors that several jobs have stored.",
    "score": "Score TREC run files made elsewhere against a task.",
    "show": "Print stored results as tables.",
    "compare": "Tell which differences between systems are real.",
    "disparity": "Measure how unequally systems serve languages.",
    "tasks": "List the tasks, or describe one.",
    "encoders": "List the models that can be named.",
    "languages": "List the languages and their resource tiers.",
    "cache": "List, check and remove stored vectors.",
    "download": "Fetch a task's data ahead of time.",
    "leaderboard": "Make leaderboards from stored results.",
    "distill": "Teach a multilingual student from an English model and bitext.",
    "new-encoder": "Write a package with an encoder of your own.",
    "check-encoder": "Check that an encoder keeps an encoder's promises.",
    "submit": "Make the files of a pull request from stored results.",
    "validate": "Check a submission, as CI does.",
    "export": "Write results as mteb, model cards or ir_metadata take them.",
    "schema": "Print the JSON schema of results.",
}


class _LazyGroup(click.Group):
    """A group that knows its commands' names without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"clir_bench.cli.{cmd_name.replace('-', '_')}").command
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `| head`; click would exit with 1
            silence_stdout()
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS:
            from clir_bench.errors import UnknownNameError

            raise UnknownNameError("command", args[0], _COMMANDS, "`clir-bench --help` lists them.")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: clir-bench run --model hashing --task miracl --sample",
)
@click.version_option(__version__, prog_name="clir-bench")
def cli() -> None:
    """Evaluate cross-lingual retrieval: the right number, per language and per resource tier.

    Run a model on a task, score a run made elsewhere, or look at what is stored. Results go to
    the folder `results`, one JSON file a system and task, with run files beside it.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 failed, 2 usage, 130 interrupted."""
    _log_to_stderr()
    try:
        code = cli.main(args=arguments, prog_name="clir-bench", standalone_mode=False)
    except ClirBenchError as error:
        echo(f"error: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        echo("interrupted; everything that was finished is kept", err=True)
        return INTERRUPTED
    except MemoryError:
        echo("error: out of memory; try a smaller --batch-size or --top-k", err=True)
        return 1
    return code if isinstance(code, int) else 0


def silence_stdout() -> None:
    """Say nothing more on stdout, whose reader went away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _ToStderr(logging.Handler):
    """Writes to what stderr is when there is something to say; callers may exchange it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        echo(self.format(record), err=True)


def _log_to_stderr() -> None:
    # Of this package alone: other libraries that log have handlers of their own.
    logger = logging.getLogger("clir_bench")
    if not logger.handlers:
        handler = _ToStderr()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    # What a run will take on disk is for its person to know, not only when it goes wrong.
    logging.getLogger("clir_bench.embeddings").setLevel(logging.INFO)


def run_main() -> None:
    """Entry point of the `clir-bench` script."""
    sys.exit(main())

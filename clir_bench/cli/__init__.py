"""The command line: it parses options, calls one function, and prints the outcome.

Commands are imported when they are called, so that `clir-bench --help` answers at once. This module
imports nothing, so that Ctrl-C works while the rest is imported.
"""

from __future__ import annotations


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    It is 0 on success, 1 when something failed, 2 for an invalid command, and after a signal 128
    plus its number: 130 for Ctrl-C, 143 for SIGTERM.
    """
    from clir_bench.cli.commands import run

    return run(arguments)


def run_main() -> None:
    """Entry point of the `clir-bench` script."""
    from clir_bench.cli import signals

    signals.leave_at_once()
    import sys

    from clir_bench.cli.output import guard_stdout

    guard_stdout()
    code = main()
    signals.leave_at_once()
    sys.exit(code)

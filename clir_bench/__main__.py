"""Runs the command line: `python -m clir_bench` does the same as `clir-bench`."""

from clir_bench.cli import run_main

run_main()

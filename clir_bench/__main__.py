"""`python -m clir_bench` is `clir-bench`."""

from clir_bench.cli import run_main

run_main()

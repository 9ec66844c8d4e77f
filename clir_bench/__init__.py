"""Evaluation harness for cross-lingual information retrieval.

The command line is `clir-bench`; from Python, start at `clir_bench.evaluation.evaluate.evaluate`.
"""

__version__ = "0.1.0"

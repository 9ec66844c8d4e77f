"""Scores runs against judgments; computes means, intervals and significance tests."""

"""Submissions: results with runs small enough for git, a system card, and what checks them."""

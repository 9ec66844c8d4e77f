"""Makes and checks submissions to boards: results, runs small enough for git, a system card."""

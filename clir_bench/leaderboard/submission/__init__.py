"""Makes and checks submissions: results with runs small enough for git, and a system card."""

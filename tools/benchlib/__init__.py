"""The parts of tools/bench: one module per benchmark, and what they share."""

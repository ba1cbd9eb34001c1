"""The parts of tools/parvus; tests/run and tools/bench use them too."""

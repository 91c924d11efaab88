"""A network, its callers and its carrier on a virtual clock, against the bare core, and the promises kept."""

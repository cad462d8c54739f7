"""Adding a source: a scaffold to begin from, the contract that every source keeps, and a verdict on one."""

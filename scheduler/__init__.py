"""When the programs run."""

"""A system asked about clips in conditions: blocks, shards, known answers."""

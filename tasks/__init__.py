"""How a stage runs: reuse, retries, resources, artifacts. No science."""

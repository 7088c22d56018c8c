"""What several stages have in common: libraries that change numbers, and names in the runtime."""

from __future__ import annotations

MODEL = ("bitsandbytes", "numpy", "peft", "tokenizers", "torch", "transformers")
TABLES = ("pandas", "pyarrow")
RENDERING = ("numpy", "scipy")
STATISTICS = ("numpy", "scikit-learn", "scipy", *TABLES)

# Of a stage that loads a model.
MODEL_RUNTIME = ("device", "attention", "batch_size", "encoder_cache")

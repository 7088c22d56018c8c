"""The embedded model: a small Qwen2-Audio trained on synthetic audio, and its recipe."""

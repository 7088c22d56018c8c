"""How the weights of the embedded Qwen2-Audio were made."""

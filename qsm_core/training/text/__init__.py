"""Fine-tuning of text models on prompts with answers."""

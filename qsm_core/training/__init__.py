"""Fine-tuning of an audio LLM with LoRA on labelled clips."""

"""Is a fine-tuned adapter good enough to replace its baseline? Cases, answers, rubrics, verdict."""

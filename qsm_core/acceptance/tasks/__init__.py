"""A task is a folder: prompt, parts of the answer, contract, rubrics, gates."""

"""Cases of the task product-owner with their answers, made from templates by a seed."""

"""Rubrics, contracts and content of the task product-owner: a product vision and its review."""

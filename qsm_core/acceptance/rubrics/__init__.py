"""How good the content of an answer is: rubrics, checks, measures that form cannot buy."""

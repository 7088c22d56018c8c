"""From predictions to balanced accuracies, by condition, with intervals and paired comparisons."""

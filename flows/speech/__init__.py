"""The flows of the speech system: their parameters, their stages, what they show."""

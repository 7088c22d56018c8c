"""From the raw text of an answer to its parts, with the reason why it is not valid."""

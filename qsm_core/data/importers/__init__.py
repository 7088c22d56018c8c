"""One module for each form in which clips arrive; `registry` knows them all."""

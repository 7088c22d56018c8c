"""One module for each form of data; `registry` lists them all."""

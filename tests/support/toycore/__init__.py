"""A core of toys: stages that take no time, for the tests of the stage mechanism."""

"""Cases of the tasks that come with qsm, with their answers, made from templates by a seed."""

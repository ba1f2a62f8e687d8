"""A plugin for pytest on an emulated machine (-p emulated). No test is changed.

The model that takes any core long has one layer, which takes an emulated one as long as 24 take a real one; what is endless is
measured (serving.py). And a hang is longer: two hundred answers under load took more than a minute, with half of a busy core.
That is more than the 75 s after which the server closes an idle connection, so here, and only here, a test that waits for
another reason to close one cannot tell the two apart.
"""
import program

program.TINY["slow"]["layers"] = 1
program.HANG = 300  # before anything has imported it

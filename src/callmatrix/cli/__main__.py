"""`python -m callmatrix.cli`: the command line where no console script is installed."""

from callmatrix.cli import entry

entry()

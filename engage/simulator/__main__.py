"""`python -m engage.simulator`: see options.py for what can be set."""

import sys

from engage.simulator.options import parse
from engage.simulator.process import run

if __name__ == "__main__":
    sys.exit(run(parse(sys.argv[1:])))

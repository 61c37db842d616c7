"""`python -m latentlab` is the command line."""

import sys

from latentlab.cli import main

sys.exit(main())

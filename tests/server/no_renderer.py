"""In the place of the program that draws: one whose renderer cannot be loaded."""

import sys

sys.stderr.write("it is not there")
raise SystemExit(3)

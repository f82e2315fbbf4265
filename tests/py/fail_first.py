"""`fail_first.py PROGRAM ARGS...`: a Rust test program, its quick tests first, ended at the first that fails.

Cargo's runner for mutants, most of which a quick test catches: `CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER`. The slow
tests, named in CUSTOS_SLOW_TESTS (parts of their names, with spaces), run only where all others passed. A stage that takes
longer than CUSTOS_STAGE_SECONDS (60, the slow one four times that) has failed: what it ran is in a circle.
"""

import os
import subprocess
import sys

PROGRAM, ARGS = sys.argv[1], sys.argv[2:]
SECONDS = int(os.environ.get("CUSTOS_STAGE_SECONDS", "60"))


def stage(seconds, *selection):
    """Runs what `selection` leaves of the program's tests; ends this process if one of them fails."""
    try:
        code = subprocess.run([PROGRAM, *ARGS, *selection], timeout=seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"fail_first.py: {PROGRAM} {' '.join(selection)}: not done after {seconds} s")
        code = 101
    if code != 0:
        sys.exit(code if code > 0 else 101)


slow = os.environ.get("CUSTOS_SLOW_TESTS", "").split()
stage(SECONDS, *(f"--skip={name}" for name in slow))
if slow:
    stage(4 * SECONDS, *slow)

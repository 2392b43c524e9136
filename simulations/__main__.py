"""python -m simulations STUDY [--grid FILE] [--out DIR] [--workers N | --scheduler tcp://HOST:PORT] [--shard i/n] [--dry-run]
                              [--retry]
python -m simulations merge OUT_1 OUT_2 ... --out OUT
python -m simulations list

Exit codes: 0 done · 1 cells failed, or the sweep was stopped · 2 usage · 3 refused input.
"""

import sys

if __name__ == "__main__":
    from simulations.engine.command import main

    sys.exit(main(sys.argv[1:]))

"""python -m golden FOLDER VERSION: see golden.making."""

import sys
from pathlib import Path

from golden.making import make

if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2])

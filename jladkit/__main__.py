"""python -m jladkit"""

from jladkit.cli import main

if __name__ == "__main__":
    main()

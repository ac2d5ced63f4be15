"""`python -m linnaea` is the command line."""

from linnaea.cli import main

if __name__ == "__main__":
    main()

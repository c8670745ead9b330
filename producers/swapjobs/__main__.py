"""`python -m swapjobs` is the command line."""

from swapjobs.cli import main

if __name__ == "__main__":
    main()

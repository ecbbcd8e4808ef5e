"""Run the command line as `python -m aednerf`."""

from aednerf.cli import main

if __name__ == "__main__":
    main()

"""Run the command line as a module, for the programs that penguind starts of itself."""

from penguind.cli import main

if __name__ == "__main__":
    main()

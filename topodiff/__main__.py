"""``python -m topodiff`` is the command ``topodiff``."""

from topodiff.cli import main

if __name__ == "__main__":
    main()

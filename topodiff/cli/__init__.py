"""The command line: ``topodiff train | predict | demo | info``."""

from topodiff.cli.app import main

__all__ = ["main"]

"""The command line: ``topodiff train | predict | bench | demo | info``."""

from topodiff.cli.app import main

__all__ = ["main"]

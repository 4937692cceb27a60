"""What a measurement ran on, for the files in benchmarks/results."""

from topodiff.training.machine import describe_run

__all__ = ["describe_run"]

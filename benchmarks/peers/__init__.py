"""Models that benchmarks compare with, written with the libraries that people use today."""

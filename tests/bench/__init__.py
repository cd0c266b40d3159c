"""The benchmark: `make bench` measures both modes and writes docs/performance.md."""

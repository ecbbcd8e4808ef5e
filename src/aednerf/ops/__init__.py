"""Numerical operations: one public op a file, with its PyTorch reference."""

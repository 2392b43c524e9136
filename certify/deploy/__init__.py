"""Deployment: multiply-add counts, token merging, 2:4 storage, and the speed audit of a machine."""

"""The server's processes: one that accepts clients, and warm ones that have a scan each.

`dispatcher` is the parent. It reads nothing of a scan and computes nothing, so that nothing in a
scan can end it. `worker` is what each of the others runs; they are started afresh, never forked,
since a forked process cannot use CUDA.
"""

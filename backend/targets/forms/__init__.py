"""Exact ways to compute a layer beside the plain one: one file each.

A form says when it applies to a job, in which launches it is then computed, and what the weights of these are. Engines
offer those that they can run (`forms` of backend/targets/soc.py); passes choose among them, by cycles and bytes.
"""

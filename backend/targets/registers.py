"""How the host talks to transfer engines and accelerators: memory-mapped registers of 32 bits.

Byte offsets from a unit's base. The simulator's devices have these registers, and so does the header that the C of a
target with such units includes; a chip's own header may do the same with other registers.
"""

SIZE_BYTES = 4096
"""What a unit takes of the address space."""

DONE = 0x00
"""Both: read, how many commands or jobs have ended since the last write; written, the count starts again at 0."""

DMA_SOURCE, DMA_TARGET, DMA_BYTES = 0x04, 0x08, 0x0C
"""Addresses, and the size of a copy. Writing the size gives the command; if the queue is full the host waits."""

JOB = 0x04
"""Written, it starts the job whose descriptor (jobs.Job.words) is at that address; it is read at once."""

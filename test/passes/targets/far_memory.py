"""far_memory: tiny_npu with RAM and flash that only its third transfer engine reaches, by way of the host's memory.

Code has a memory of its own, so that the other can be as small as maps and weights allow.
"""

from dataclasses import replace

from tiny_npu import SOC as TINY

from htvm.backend.targets.soc import Dma, Memory, Price, Route

CODE = Memory("code", base=0x20000000, size_bytes=256 * 1024)
L3 = Memory("l3", base=0x80000000, size_bytes=256 * 1024, host_visible=False)
FLASH = Memory("flash", base=0x90000000, size_bytes=1024 * 1024, host_visible=False)
BUS = Price(bytes_per_cycle=0.5, setup_cycles=30)
ROUTES = (Route("l3", "ram", BUS), Route("ram", "l3", BUS), Route("flash", "ram", BUS))

SOC = replace(
    TINY,
    name="far_memory",
    memories=(*TINY.memories, CODE, L3, FLASH),
    program_memory=CODE.name,
    constant_memory="ram",
    dmas=(*TINY.dmas, Dma("bus", base=0x50003000, routes=ROUTES, queue_depth=2)),
)

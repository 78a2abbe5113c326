"""When words move: latency of a frame, and FIFO depths that neither deadlock nor throttle.

Both follow words through the network by arrays of times, a sweep over the actors instead of a
simulation cycle by cycle. What an actor reads and writes in which step its kernel says (`Steps`);
a step takes a cycle and happens no earlier than its words are there, and its results have a place.
"""

from lepton_edge.backends.fpga.schedule.latency import latency_cycles
from lepton_edge.backends.fpga.schedule.sizing import sized

__all__ = ["latency_cycles", "sized"]

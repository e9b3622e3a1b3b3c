"""Starts what is to be measured: a small process, for a child's peak memory counts from its parent.

Linux keeps as a process's own the peak it had before `exec`, when it still was a copy of its
parent. One request a line on stdin, one answer a line on stdout, both JSON.
"""

import json
import os
import signal
import sys
import time

for line in sys.stdin:
    asked = json.loads(line)
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.chdir(asked["cwd"])
        streams = (os.open(os.devnull, os.O_RDONLY), os.open(asked["output"], os.O_WRONLY))
        os.dup2(streams[0], 0)
        os.dup2(streams[1], 1)
        os.dup2(streams[1], 2)
        signal.alarm(asked["deadline"])  # survives exec, and ends the program
        os.execvpe(asked["argv"][0], asked["argv"], asked["environment"])  # noqa: S606 # no shell
    _, status, used = os.wait4(child, 0)
    answer = {
        "seconds": time.perf_counter() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss,
        "status": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(answer), flush=True)

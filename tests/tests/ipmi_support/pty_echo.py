"""A serial line that answers: prints its device, then echoes every character in upper case."""
import os
import pty
import sys
import tty

master, slave = pty.openpty()
tty.setraw(slave)
print(os.ttyname(slave), flush=True)
while True:
    try:
        data = os.read(master, 256)
    except OSError:
        sys.exit(0)
    os.write(master, data.upper())

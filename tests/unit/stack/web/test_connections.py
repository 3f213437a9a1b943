"""Which connections of a container count as requests that run."""

from __future__ import annotations

from odpm_tasks.core.stack.web.connections import from_outside

# /proc/net/tcp: a listener, a request from outside, one from inside, one that has ended, one to another port, one that Odoo made
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F85 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0
   1: 020012AC:1F85 030012AC:C350 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0
   2: 0100007F:1F85 0100007F:C351 01 00000000:00000000 00:00000000 00000000  1000        0 3 1 0
   3: 020012AC:1F85 030012AC:C352 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0
   4: 020012AC:1F88 030012AC:C353 01 00000000:00000000 00:00000000 00000000  1000        0 4 1 0
   5: 020012AC:C354 040012AC:1F85 01 00000000:00000000 00:00000000 00000000  1000        0 5 1 0
"""
TABLE6 = """\
  sl  local_address                         remote_address                        st
   0: 0000000000000000FFFF0000020012AC:1F85 0000000000000000FFFF0000030012AC:C355 01 00000000:00000000
   1: 0000000000000000FFFF00000100007F:1F85 0000000000000000FFFF00000100007F:C356 01 00000000:00000000
"""


def test_requests_from_outside() -> None:
    assert from_outside(TABLE, 8069) == 1
    assert from_outside(TABLE + TABLE6, 8069) == 2
    assert from_outside(TABLE, 8072) == 1
    assert from_outside("", 8069) == 0

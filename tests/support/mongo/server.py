"""SecantusDB, whose replies name no time before everything up to it can be read.

MongoDB promises that of `operationTime`: whoever reads after a reply, with `afterClusterTime`, sees all that
was written up to its time. SecantusDB 0.7.0b3 names the newest time that it has given out, also that of a write
which is not committed yet, and its reads wait for nothing.
"""

import sys

from secantus.cli import main
from secantus.storage import Storage

named_at_once = Storage.peek_cluster_time


def peek_cluster_time(self):
    """The same time, once every write that has one is committed or gone."""
    time = named_at_once(self)
    with self._oplog_seq_lock:
        given_out = self._next_seq - 1
    with self._oplog_cv:
        self._oplog_cv.wait_for(lambda: self.oplog_visible_tail_seq_nolock() >= given_out)
    return time


Storage.peek_cluster_time = peek_cluster_time
sys.exit(main())

"""Python's trafilatura on the same pages, fetched by it over one connection: the last line is one JSON object."""

import json
import resource
import sys
import time

import trafilatura
import urllib3

origin, count = sys.argv[1], int(sys.argv[2])
pool = urllib3.PoolManager(maxsize=1)
letters = pages = 0


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


begun, before = time.perf_counter(), cpu()
for at in range(count):
    link = f"{origin}/p/{at}"
    html = pool.request("GET", link).data.decode("utf-8", "replace")
    text = trafilatura.extract(
        html, url=link, include_comments=False, favor_precision=True, with_metadata=True, output_format="markdown"
    )
    pages += text is not None
    letters += sum(letter.isalnum() for letter in text or "")
seconds, used = time.perf_counter() - begun, cpu() - before
print(
    json.dumps(
        {
            "pages": pages,
            "seconds": seconds,
            "cpu_seconds": used,
            "pages_per_second": pages / seconds,
            "pages_per_cpu_second": pages / used,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "letters": letters,
        }
    )
)

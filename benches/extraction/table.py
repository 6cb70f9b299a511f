"""Rows of JSON, one a line, to a table beside the published figures; the last line is one JSON object."""

import json
import sys

# As their authors published them for these pages.
PUBLISHED = {
    "AutoExtract": 0.970,
    "rs_trafilatura": 0.970,
    "go_trafilatura": 0.960,
    "trafilatura": 0.958,
    "readability.js": 0.947,
    "readability (Python)": 0.922,
    "dom_smoothie": 0.865,
    "html2text (the seed's)": 0.662,
}
GOAL, LEAST = 0.970, 0.960

rows = [json.loads(line) for line in sys.stdin if line.startswith("{")]
print(f"{'measured in this run':32} precision  recall     F1  pages/s  empty")
for row in sorted(rows, key=lambda row: -row["f1"]):
    print(
        f"{row['name']:32} {row['precision']:9.4f} {row['recall']:7.4f} {row['f1']:6.4f}"
        f" {row['pages_per_second']:8.0f} {row['empty']:6}"
    )
print(f"\n{'published':32} {'':9} {'':7}     F1")
for name, f1 in PUBLISHED.items():
    print(f"{name:32} {'':9} {'':7} {f1:6.3f}")
ours = next(row for row in rows if row["name"] == "lockstep")
print(f"\ngoal {GOAL:.3f}: {'met' if ours['f1'] >= GOAL else 'MISSED'}")
print(json.dumps({"goal": GOAL, "least": LEAST, "rows": rows, "published": PUBLISHED}))

#!/usr/bin/env python3
"""Reads the TensorBoard events of directories and writes those of each as JSON: {tag: [[step, value], ...]}.

    read_events.py LOG_DIR OUT.json [LOG_DIR OUT.json ...]

A value is a number, or a histogram: an object with min, max, num, sum, sum_squares, bucket_limit and bucket.
"""

import json
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read(log_dir):
    events = EventAccumulator(log_dir, size_guidance={"scalars": 0, "histograms": 0})
    events.Reload()
    values = {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    for tag in events.Tags()["histograms"]:
        values[tag] = [[event.step, vars(event.histogram_value)] for event in events.Histograms(tag)]
    return values


for log_dir, out in zip(sys.argv[1::2], sys.argv[2::2]):
    pathlib.Path(out).write_text(json.dumps(read(log_dir)))

#!/usr/bin/env python3
"""Reads the TensorBoard events of a directory and writes them as JSON: {tag: [[step, value], ...]}.

    read_events.py LOG_DIR OUT.json

A value is a number, or a histogram: an object with min, max, num, sum, sum_squares, bucket_limit and bucket.
"""

import json
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0})
events.Reload()
values = {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
for tag in events.Tags()["histograms"]:
    values[tag] = [[event.step, vars(event.histogram_value)] for event in events.Histograms(tag)]
pathlib.Path(sys.argv[2]).write_text(json.dumps(values))

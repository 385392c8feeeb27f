#!/usr/bin/env python3
"""Reads the TensorBoard events of a directory and writes them as JSON: {tag: [[step, value], ...]}.

    read_events.py LOG_DIR OUT.json
"""

import json
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
scalars = {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
pathlib.Path(sys.argv[2]).write_text(json.dumps(scalars))

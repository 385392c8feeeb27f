#!/usr/bin/env python3
"""Starts TensorBoard on the loopback interface, writes what it gives its own pages as JSON, and ends it.

    tensorboard_data.py LOG_DIR OUT.json FAST|SLOW TAG ...

FAST is the data server that TensorBoard uses by default, SLOW its reader in Python. The JSON has `scalars` and `histograms`, each {run: [tag,
...]}, and `data`, {tag: what the plugin of that tag gives for the run "."}.
"""

import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

DEADLINE = time.monotonic() + 300

log_dir, out, reader, *wanted = sys.argv[1:]
command = [sys.executable, "-m", "tensorboard.main", "--logdir", log_dir, "--host", "127.0.0.1", "--port", "0"]
command += ["--load_fast", "true" if reader == "FAST" else "false", "--reload_interval", "1"]
server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def get(path, **query):
    with urllib.request.urlopen(f"{base}data/plugin/{path}?{urllib.parse.urlencode(query)}") as reply:
        return json.load(reply)


try:
    base = None
    while base is None:
        line = server.stderr.readline()
        if not line:
            sys.exit("TensorBoard did not start")
        if "http://" in line:
            base = re.search(r"http://\S+/", line).group()
    tags = {}
    while not set(wanted) <= {tag for kind in tags.values() for run in kind.values() for tag in run}:
        if time.monotonic() > DEADLINE:
            sys.exit(f"TensorBoard has only {tags}")
        time.sleep(0.5)
        tags = {kind: {run: sorted(known) for run, known in get(f"{kind}/tags").items()} for kind in ("scalars", "histograms")}
    time.sleep(3)  # the rest of the file
    data = {}
    for tag in wanted:
        kind = "scalars" if tag in tags["scalars"].get(".", []) else "histograms"
        data[tag] = get(f"{kind}/{kind}", run=".", tag=tag)
    pathlib.Path(out).write_text(json.dumps({**tags, "data": data}))
finally:
    server.terminate()
    server.wait()

"""A worker of TensorFlow's own: worker.py JOB=HOST:PORT,HOST:PORT TASK"""

import sys

import tensorflow as tf

job, addresses = sys.argv[1].split("=")
server = tf.distribute.Server(
    {job: addresses.split(",")}, job_name=job, task_index=int(sys.argv[2])
)
print("ready", flush=True)
server.join()

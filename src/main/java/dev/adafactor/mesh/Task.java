package dev.adafactor.mesh;

import org.tensorflow.DeviceSpec;

/**
 * One process of a cluster.
 *
 * @param job the name of its job, such as {@code worker}
 * @param index its place in the job's list, from 0
 */
public record Task(String job, int index) {

  /** Where operations are placed that belong on this process, on a device that it chooses. */
  public DeviceSpec device() {
    return DeviceSpec.newBuilder().job(job).task(index).build();
  }

  /** Such as {@code /job:worker/task:0}. */
  @Override
  public String toString() {
    return "/job:" + job + "/task:" + index;
  }
}

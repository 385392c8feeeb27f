package dev.adafactor.mesh;

import dev.adafactor.graph.Group;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.tensorflow.DeviceSpec;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/** {@link Reductions#COLLECTIVE}. */
final class CollectiveReduce {

  /** A number for each row of devices, which all sums of these devices have in common. */
  private static final Map<List<String>, Integer> GROUPS = new ConcurrentHashMap<>();

  private static final AtomicInteger LAST_GROUP = new AtomicInteger();

  /** No two sums of a run may have one number, of whatever optimizer they are. */
  private static final AtomicInteger LAST_SUM = new AtomicInteger();

  private CollectiveReduce() {}

  static void requireOneProcess(Mesh mesh) {
    for (int device = 0; device < mesh.size(); device++) {
      DeviceSpec spec = mesh.device(device);
      if (spec.job() != null || spec.task() != null) {
        throw new IllegalArgumentException(
            ("collective operations are for devices of one process, and the mesh names %s: between"
                    + " processes they need a group leader in the configuration of each server, and"
                    + " fail for good once a process was started again; use ADD_N")
                .formatted(mesh.devices().get(device)));
      }
    }
  }

  static <T extends TNumber> List<Operand<T>> sum(List<Reduction.Part<T>> parts) {
    if (parts.size() == 1) {
      return List.of(parts.get(0).value());
    }
    int group =
        GROUPS.computeIfAbsent(
            parts.stream().map(part -> part.ops().scope().getDeviceString()).toList(),
            devices -> LAST_GROUP.incrementAndGet());
    int sum = LAST_SUM.incrementAndGet();
    List<Output<T>> sums = new ArrayList<>();
    for (Reduction.Part<T> part : parts) {
      sums.add(reduce(part, parts.size(), group, sum));
    }
    // A run that needs the sum on one device must have all take part: it waited for ever otherwise.
    Op all = Group.of(parts.get(0).ops(), sums);
    List<Operand<T>> together = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      Ops there = parts.get(i).ops().withControlDependencies(List.of(all));
      together.add(there.identity(sums.get(i)));
    }
    return together;
  }

  /** Not through Ops, which has version 3 alone: that one ends the process. */
  private static <T extends TNumber> Output<T> reduce(
      Reduction.Part<T> part, int size, int group, int sum) {
    Ops tf = part.ops();
    return tf.scope()
        .opBuilder("CollectiveReduceV2", "CollectiveReduce")
        .addInput(part.value().asOutput())
        .addInput(tf.constant(size).asOutput())
        .addInput(tf.constant(group).asOutput())
        .addInput(tf.constant(sum).asOutput())
        .addInputList(new Output<?>[0])
        .setAttr("merge_op", "Add")
        .setAttr("final_op", "Id")
        .setAttr("communication_hint", "ring")
        .build()
        .output(0);
  }
}

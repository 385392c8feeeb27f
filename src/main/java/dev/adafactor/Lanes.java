package dev.adafactor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;

/**
 * Chains of operations: the parts of an update that are in one lane run one after the other. So no
 * more parts than lanes have temporary tensors at a time, and what a part has read is still in the
 * processor's cache when it is read again.
 */
final class Lanes {

  private final Ops ops;
  private final Lane[] lanes;

  /**
   * @param first what comes before all parts
   */
  Lanes(Ops ops, int count, Op first) {
    this.ops = ops;
    this.lanes = Stream.generate(() -> new Lane(first)).limit(count).toArray(Lane[]::new);
  }

  /** How many parts are worked on at a time. */
  int count() {
    return lanes.length;
  }

  /**
   * The lane with the least work so far, which gets some more.
   *
   * @param work in any unit
   */
  Lane next(long work) {
    Lane lane = Arrays.stream(lanes).min(Comparator.comparingLong(l -> l.work)).orElseThrow();
    lane.work += work;
    return lane;
  }

  /** One of the chains. */
  final class Lane {
    private List<Op> last;
    private long work;

    private Lane(Op first) {
      this.last = List.of(first);
    }

    /**
     * For the first operations of the next part.
     *
     * @param before what must come before them, too
     */
    Ops begin(List<Op> before) {
      List<Op> all = new ArrayList<>(last);
      all.addAll(before);
      return ops.withControlDependencies(all);
    }

    /** Ends the part: the next one follows these operations. */
    void end(Op... operations) {
      last = List.of(operations);
    }
  }
}

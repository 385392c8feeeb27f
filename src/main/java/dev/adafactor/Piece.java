package dev.adafactor;

import dev.adafactor.graph.Constants;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * What an update needs of a variable with elements, of one shard, or of several that are alike, as
 * a stack: its tensors have one more axis in front then. Its parts are asked for in their order,
 * each once.
 *
 * @param tasks one, or those of the stack
 * @param variableMeanSquare rms(w)², after weight decay
 * @param before the second moment as it was
 * @param gradient the passes over the gradient
 * @param writing adds the writes
 */
record Piece<C extends TNumber>(
    List<UpdateTask> tasks,
    Operand<C> variableMeanSquare,
    SecondMoment<C> before,
    Passes<C> gradient,
    Writing<C> writing) {

  /** How a variable becomes {@code w - rate * g * inverseRoots}. */
  interface Writing<C extends TNumber> {
    /**
     * Adds it.
     *
     * @param rate a scalar, or one for each variable of a stack
     * @param inverseRoots 1/√v, of which the gradient's {@link Passes#updateMeanSquare} was asked
     *     for
     * @return the writes of the variables
     */
    List<Op> write(Operand<C> rate, SecondMoment<C> inverseRoots);
  }

  /** The statistics of each variable. */
  List<UpdateStatistics<C>> statistics(Constants constants, UpdateStatistics<C> all) {
    return tasks.size() == 1 ? List.of(all) : all.unstacked(constants, tasks.size());
  }

  /**
   * Adds the writes.
   *
   * @param moved the new second moment
   * @param statistics of each variable
   */
  List<UpdateStep.Updated> updated(
      Ops ops,
      Operand<C> rate,
      SecondMoment<C> inverseRoots,
      SecondMoment<C> moved,
      List<UpdateStatistics<C>> statistics) {
    int count = tasks.size();
    List<Op> writes = writing.write(rate, inverseRoots);
    List<SecondMoment<C>> moments = count == 1 ? List.of(moved) : moved.unstacked(ops, count);
    List<UpdateStep.Updated> updated = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      updated.add(
          new UpdateStep.Updated(
              writes.get(i),
              tasks.get(i).state().assign(ops, moments.get(i).parts()),
              statistics.get(i)));
    }
    return updated;
  }
}

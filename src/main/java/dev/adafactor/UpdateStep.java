package dev.adafactor;

import java.util.List;
import org.tensorflow.op.Op;

/** How the variables and their state are updated in one step. */
interface UpdateStep {

  /**
   * The update of a variable.
   *
   * @param write of the variable
   * @param stateWrites of its second moment
   */
  record Updated(Op write, List<Op> stateWrites, UpdateStatistics<?> statistics) {}

  /** Adds the updates, in the order of the tasks. */
  List<Updated> update(List<UpdateTask> tasks);
}

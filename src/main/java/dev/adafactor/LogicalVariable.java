package dev.adafactor;

import dev.adafactor.graph.Placement;
import dev.adafactor.graph.VariableView;
import dev.adafactor.mesh.ShardedVariable;
import java.util.List;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/** What a user calls a variable: one in one piece, or one that is cut into shards. */
sealed interface LogicalVariable permits PlainVariable, VariableInShards {

  /**
   * Views a variable.
   *
   * @param variable the output of a {@code VariableV2}, the handle of a {@code VarHandleOp}, or a
   *     {@link ShardedVariable}
   * @throws IllegalArgumentException if it is none of them, or cannot be trained
   */
  static LogicalVariable of(Graph graph, Operand<?> variable) {
    return variable instanceof ShardedVariable<?> sharded
        ? VariableInShards.of(graph, sharded)
        : new PlainVariable(VariableView.of(graph, variable));
  }

  /** The name as Python's {@code variable.name} has it, without the {@code :0}. */
  String name();

  /** What tells it from others; a copy in shards has what its original has. */
  String key();

  /**
   * This variable, as one that settings can name.
   *
   * @throws IllegalArgumentException if it is a part of another
   */
  LogicalVariable requireWhole();

  /** The output or the handle, or the sharded variable. */
  Operand<?> operand();

  /** What is updated: each shard once. */
  List<VariableView<?>> parts();

  /**
   * Takes the gradient apart.
   *
   * @param placement where operations are added
   * @return that of each part; nothing where there is none
   * @throws IllegalArgumentException if the gradient does not have the variable's type and shape
   */
  List<Gradient> gradient(Placement placement, GradAndVar<?> pair);

  /**
   * Adds the operations that put a part of the state together.
   *
   * @param name that of a slot, or {@link Snapshot.Form#VALUE}
   * @param ofParts what {@link #parts} have of it
   */
  <S extends TNumber> Operand<S> join(
      Ops tf, Placement placement, String name, List<Operand<S>> ofParts);

  /**
   * Adds the operations that take a part of the state apart.
   *
   * @param name that of a slot, or {@link Snapshot.Form#VALUE}
   * @return what {@link #parts} have of it
   * @throws IllegalArgumentException if the whole has another shape, as far as it must be cut
   */
  <S extends TNumber> List<Operand<S>> cut(Ops tf, String name, Operand<S> whole);

  /**
   * Adds what must follow the last write to a part in a run: other devices have it, too.
   *
   * @param part which of {@link #parts}
   * @param rows which of its rows were written, those below 0 aside; null for all
   * @return the last operation
   */
  Op spread(Placement placement, int part, Op written, Operand<? extends TNumber> rows);
}

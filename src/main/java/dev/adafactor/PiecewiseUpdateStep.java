package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Group;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/**
 * The updates of {@link StableUpdate} in pieces of about one size: large variables in blocks of
 * rows, small ones that are alike in stacks. A few pieces are worked on at a time.
 */
final class PiecewiseUpdateStep implements UpdateStep {

  /** Enough to keep the processors busy where a piece waits for the results of others. */
  private static final int LANES = 3;

  /** Above it, operations cost little beside the work on the elements, and copies cost more. */
  private static final long LARGEST_STACKED = 32 * 1024;

  /** A stack has copies of variable and gradient, the new state, and what becomes the update. */
  private static final int TENSORS_OF_A_STACK = 4;

  /** What blocks of a sparse gradient have at the least, where its rows take up the rest. */
  private static final int LEAST_SHARE_OF_BLOCKS = 8;

  /**
   * What variables of a stack have in common.
   *
   * @param most the most variables of a stack
   */
  record Kind(DataType type, Shape shape, long most) {}

  private final Constants constants;
  private final Ops ops;
  private final StableUpdate rule;
  private final MatrixOperations matrices;
  private final SharedScalars scalars;
  private final Lanes lanes;
  private final long transientBytes;
  private final long pieceBytes;

  /**
   * @param gate runs when every gradient is known: nothing is written before
   * @param transientBytes about the most that the temporary tensors may have together
   */
  PiecewiseUpdateStep(
      Constants constants,
      StableUpdate rule,
      MatrixOperations matrices,
      SharedScalars scalars,
      Op gate,
      long transientBytes) {
    this.constants = constants;
    this.ops = constants.ops();
    this.rule = rule;
    this.matrices = matrices;
    this.scalars = scalars;
    this.lanes = new Lanes(ops, LANES, gate);
    this.transientBytes = transientBytes;
    this.pieceBytes = pieceBytes(transientBytes);
  }

  @Override
  public List<Updated> update(List<UpdateTask> tasks) {
    Map<UpdateTask, Updated> updated = new HashMap<>();
    for (List<UpdateTask> stack : Stacks.of(tasks, this::kind, Kind::most)) {
      List<Updated> ofStack = together(stack);
      for (int i = 0; i < stack.size(); i++) {
        updated.put(stack.get(i), ofStack.get(i));
      }
    }
    return tasks.stream().map(updated::get).toList();
  }

  /** The constants of the scope on the device. */
  Constants constants() {
    return constants;
  }

  private static long pieceBytes(long together) {
    // One more for all that is small.
    return together / (LANES + 1);
  }

  private static long bytes(Class<? extends TNumber> type) {
    return type == TFloat64.class ? Double.BYTES : Float.BYTES;
  }

  /** What a variable has in common with others of its stack; empty if it is updated by itself. */
  Optional<Kind> kind(UpdateTask task) {
    VariableView<?> variable = task.variable();
    long size = variable.shape().size();
    boolean alike =
        size > 0
            && size <= LARGEST_STACKED
            && task.indices() == null
            && rule.computeType(variable.type()) == variable.type();
    return alike
        ? Optional.of(new Kind(variable.dataType(), variable.shape(), most(size)))
        : Optional.empty();
  }

  private long most(long size) {
    return Math.max(1, pieceBytes / TENSORS_OF_A_STACK / Double.BYTES / size);
  }

  /**
   * @param tasks one, or those of a stack
   */
  private <C extends TNumber> List<Updated> together(List<UpdateTask> tasks) {
    UpdateTask kind = tasks.get(0);
    Scalars<C> shared =
        scalars.of(PiecewiseUpdateStep.<C>typed(kind.values()).type(), kind.variable().type());
    if (kind.variable().shape().size() == 0) {
      return List.of(
          new Updated(
              Group.of(ops, kind.before()),
              List.of(),
              StableUpdate.withoutElements(constants, shared, kind.state().<C>secondMoment())
                  .statistics()));
    }
    Piece<C> piece = piece(tasks);
    StableUpdate.Factors<C> factors =
        StableUpdate.factors(
            constants, shared, piece.gradient(), piece.variableMeanSquare(), piece.before());
    return piece.updated(
        ops,
        factors.rate(),
        factors.inverseRoots(),
        factors.state(),
        piece.statistics(constants, factors.statistics()));
  }

  /**
   * What an update needs of variables with elements, for an update that is not added here.
   *
   * @param tasks one, or those of a stack
   * @param <C> the type of the computation
   */
  <C extends TNumber> Piece<C> piece(List<UpdateTask> tasks) {
    UpdateTask kind = tasks.get(0);
    return tasks.size() == 1
        ? piece(kind.variable(), kind, typed(kind.values()))
        : stack(VariableView.typed(kind.variable()), tasks);
  }

  private <T extends TNumber, C extends TNumber> Piece<C> piece(
      VariableView<T> variable, UpdateTask task, Operand<C> values) {
    return layout(variable, task, values)
        .map(layout -> inBlocks(VariableView.<C>typed(variable), task, layout))
        .orElseGet(() -> whole(variable, task, values.type()));
  }

  /** Whether the update leaves rows alone that its sparse gradient does not name. */
  static boolean writesRowsAlone(UpdateTask task) {
    VariableView<?> variable = task.variable();
    return task.indices() != null
        && variable.shape().numDimensions() == 2
        && task.values().type() == (Class<?>) variable.type();
  }

  private <T extends TNumber, C extends TNumber> Optional<BlockPasses.Layout<C>> layout(
      VariableView<T> variable, UpdateTask task, Operand<C> values) {
    Shape shape = variable.shape();
    long limit = pieceBytes / bytes(values.type());
    if (values.type() != (Class<?>) variable.type() || shape.numDimensions() < 2) {
      return Optional.empty();
    }
    if (writesRowsAlone(task)) {
      return Optional.of(sparse(shape, values, task.indices()));
    }
    // The writes to rows take 32-bit numbers of rows.
    boolean countable = shape.size() / shape.get(-1) <= Integer.MAX_VALUE;
    return task.indices() == null && shape.size() > limit && countable
        ? Optional.of(new DenseLayout<>(constants, values, limit))
        : Optional.empty();
  }

  private <C extends TNumber, I extends TNumber> BlockPasses.Layout<C> sparse(
      Shape shape, Operand<C> values, Operand<I> indices) {
    long size = Math.max(1, values.shape().get(0)) * shape.get(1);
    // The rows that are added up are kept beside the blocks.
    long kept = size * bytes(values.type());
    long rest = Math.max(transientBytes - kept, transientBytes / LEAST_SHARE_OF_BLOCKS);
    long limit = pieceBytes(rest) / bytes(values.type());
    return new SparseLayout<>(constants, lanes.next(size), shape, values, indices, limit);
  }

  private <C extends TNumber> Piece<C> inBlocks(
      VariableView<C> variable, UpdateTask task, BlockPasses.Layout<C> layout) {
    Lanes.Lane lane = lanes.next(variable.shape().size() / 4);
    Ops first = lane.begin(task.before());
    Operand<C> meanSquare = Extent.VARIABLE.meanSquare(first, constants, variable.share(first));
    lane.end(meanSquare);
    BlockPasses<C> passes = new BlockPasses<>(constants, matrices, lanes, variable, layout);
    return new Piece<>(
        List.of(task),
        meanSquare,
        task.state().secondMoment(),
        passes,
        (rate, inverseRoots) -> List.of(passes.write(rate, inverseRoots)));
  }

  private <T extends TNumber, C extends TNumber> Piece<C> whole(
      VariableView<T> variable, UpdateTask task, Class<C> type) {
    Lanes.Lane lane = lanes.next(variable.shape().size());
    Ops first = lane.begin(task.before());
    Operand<T> w = variable.read(first);
    Operand<C> wide = WholeUpdateStep.cast(first, w, type);
    Operand<C> g = typed(task.gradient(first));
    WholePasses<C> passes = new WholePasses<>(first, constants, matrices, Extent.VARIABLE, g);
    return new Piece<>(
        List.of(task),
        Extent.VARIABLE.meanSquare(first, constants, wide),
        task.state().secondMoment(),
        passes,
        (rate, inverseRoots) -> {
          Op write = rule.apply(first, ops, variable, w, rate, passes.direction());
          lane.end(write);
          return List.of(write);
        });
  }

  /**
   * @param kind one of the variables
   */
  private <C extends TNumber> Piece<C> stack(VariableView<C> kind, List<UpdateTask> tasks) {
    Lanes.Lane lane = lanes.next(tasks.size() * kind.shape().size());
    Ops first = lane.begin(tasks.stream().flatMap(task -> task.before().stream()).toList());
    List<VariableView<C>> variables = new ArrayList<>();
    List<Operand<C>> gradients = new ArrayList<>();
    List<SecondMoment<C>> states = new ArrayList<>();
    for (UpdateTask task : tasks) {
      variables.add(VariableView.typed(task.variable()));
      gradients.add(typed(task.values()));
      states.add(task.state().secondMoment());
    }
    Operand<C> w = first.stack(variables.stream().map(v -> v.read(first)).toList());
    Operand<C> g = first.stack(gradients);
    WholePasses<C> passes = new WholePasses<>(first, constants, matrices, Extent.STACK, g);
    return new Piece<>(
        tasks,
        Extent.STACK.meanSquare(first, constants, w),
        SecondMoment.stacked(first, states),
        passes,
        (rate, inverseRoots) -> {
          Operand<C> update = ops.math.mul(rate, passes.direction());
          List<Output<C>> updates = ops.unstack(update, (long) tasks.size()).output();
          List<Op> writes = new ArrayList<>();
          for (int i = 0; i < tasks.size(); i++) {
            writes.add(variables.get(i).assignSub(ops, updates.get(i)));
          }
          // The updates are slices of one tensor, which is there until the last one is written.
          lane.end(Group.of(ops, writes));
          return writes;
        });
  }

  @SuppressWarnings("unchecked") // The gradient has the type of the computation.
  private static <C extends TNumber> Operand<C> typed(Operand<? extends TNumber> values) {
    return (Operand<C>) values;
  }
}

package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Reduction;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * {@link StableUpdate} of a variable that is cut into shards: each works out means over its own
 * elements, and those of the shards along the same rows, the same columns, or of all become one.
 * Shards are of one size, so that the mean over all is the mean of their means. Sums of r, of c and
 * of scalars are all that is sent from device to device.
 */
final class ShardedUpdate<C extends TNumber> {

  /**
   * A shard, with elements, or a stack of those that variables have on one device.
   *
   * @param constants of the scope on its device
   */
  private record Shard<C extends TNumber>(Constants constants, Piece<C> piece) {
    Ops ops() {
      return constants.ops();
    }
  }

  private final Constants shared;
  private final Reduction reduction;
  private final Scalars<C> s;
  private final Layout layout;
  private final List<Shard<C>> shards;

  private ShardedUpdate(
      Constants shared,
      Reduction reduction,
      Scalars<C> scalars,
      Layout layout,
      List<Shard<C>> shards) {
    this.shared = shared;
    this.reduction = reduction;
    this.s = scalars;
    this.layout = layout;
    this.shards = shards;
  }

  /**
   * Adds the update of a variable, or of a stack of variables of one layout.
   *
   * @param shared of the scope for what the shards have in common
   * @param steps for the variables of the device of each shard
   * @param shards for each of the variable's parts the task, or those of the stack
   * @return for each of the parts the updates
   */
  static <C extends TNumber> List<List<UpdateStep.Updated>> update(
      Constants shared,
      Reduction reduction,
      Scalars<C> scalars,
      Layout layout,
      Function<UpdateTask, PiecewiseUpdateStep> steps,
      List<List<UpdateTask>> shards) {
    List<Shard<C>> pieces = new ArrayList<>();
    for (List<UpdateTask> tasks : shards) {
      PiecewiseUpdateStep step = steps.apply(tasks.get(0));
      pieces.add(new Shard<>(step.constants(), step.piece(tasks)));
    }
    return new ShardedUpdate<>(shared, reduction, scalars, layout, pieces).step();
  }

  private List<List<UpdateStep.Updated>> step() {
    Operand<C> variableMeanSquare = mean(each(shard -> shard.piece().variableMeanSquare()));
    List<SecondMoment<C>> squares = squares(each(shard -> shard.piece().gradient().meanSquares()));
    List<SecondMoment<C>> moved =
        each(
            shards,
            i -> StableUpdate.moved(at(i).ops(), s, at(i).piece().before(), squares.get(i)));
    List<SecondMoment<C>> inverseRoots = inverseRoots(moved);
    Operand<C> updateMeanSquare =
        mean(each(shards, i -> at(i).piece().gradient().updateMeanSquare(inverseRoots.get(i))));
    UpdateStatistics<C> all =
        StableUpdate.statistics(shared, s, variableMeanSquare, updateMeanSquare);
    Operand<C> rate = all.rate(shared.ops());
    List<UpdateStatistics<C>> statistics = at(0).piece().statistics(shared, all);
    return each(
        shards,
        i ->
            at(i)
                .piece()
                .updated(at(i).ops(), rate, inverseRoots.get(i), moved.get(i), statistics));
  }

  /** The means over whole rows and columns, of those over the rows and columns of each shard. */
  private List<SecondMoment<C>> squares(List<SecondMoment<C>> local) {
    int rank = layout.rank();
    if (rank < 2) {
      return local;
    }
    List<Operand<C>> r = means(layout.lines(rank - 1), each(local, i -> part(local, i, 0)));
    List<Operand<C>> c = means(layout.lines(rank - 2), each(local, i -> part(local, i, 1)));
    return each(local, i -> new SecondMoment.Factored<>(r.get(i), c.get(i)));
  }

  private List<SecondMoment<C>> inverseRoots(List<SecondMoment<C>> moved) {
    int rank = layout.rank();
    List<Operand<C>> rowMeans =
        rank < 2
            ? List.of()
            : means(
                layout.lines(rank - 2),
                each(shards, i -> StableUpdate.mean(at(i).constants(), part(moved, i, 0))));
    return each(
        shards,
        i -> StableUpdate.inverseRoots(at(i).constants(), moved.get(i), r -> rowMeans.get(i)));
  }

  /** The mean over all shards, of that of each. */
  private Operand<C> mean(List<Operand<C>> ofShards) {
    List<List<Integer>> all = List.of(IntStream.range(0, ofShards.size()).boxed().toList());
    return means(all, ofShards).get(0);
  }

  /** The means over the shards of each line, of those of each shard. */
  private List<Operand<C>> means(List<List<Integer>> lines, List<Operand<C>> local) {
    List<Operand<C>> means = new ArrayList<>(local);
    for (List<Integer> line : lines) {
      if (line.size() > 1) {
        List<Operand<C>> sums =
            reduction.sum(
                line.stream().map(i -> new Reduction.Part<>(at(i).ops(), local.get(i))).toList());
        // What several devices have sent from one is divided there.
        Map<Operand<C>, Operand<C>> divided = new HashMap<>();
        for (int j = 0; j < line.size(); j++) {
          Constants there = at(line.get(j)).constants();
          Operand<C> count = there.number(s.one().type(), line.size());
          means.set(
              line.get(j),
              divided.computeIfAbsent(sums.get(j), sum -> there.ops().math.div(sum, count)));
        }
      }
    }
    return Collections.unmodifiableList(means);
  }

  private Shard<C> at(int i) {
    return shards.get(i);
  }

  private static <C extends TNumber> Operand<C> part(
      List<SecondMoment<C>> moments, int i, int part) {
    return moments.get(i).parts().get(part);
  }

  private <X> List<X> each(Function<Shard<C>, X> function) {
    return shards.stream().map(function).toList();
  }

  private static <X> List<X> each(List<?> all, IntFunction<X> function) {
    return IntStream.range(0, all.size()).mapToObj(function).toList();
  }
}

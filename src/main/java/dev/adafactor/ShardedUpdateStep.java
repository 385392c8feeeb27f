package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Reduction;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * How variables that are cut into shards are updated in one step: small ones that are alike, as
 * stacks. So what goes from device to device goes once for all of them.
 *
 * @param shared of the scope for what shards have in common
 * @param steps for the variables of the device of each shard
 */
record ShardedUpdateStep(
    Constants shared,
    Reduction reduction,
    SharedScalars scalars,
    Function<UpdateTask, PiecewiseUpdateStep> steps) {

  /**
   * The update that a variable needs.
   *
   * @param parts one for each of its shards
   */
  record Task(Layout layout, List<UpdateTask> parts) {}

  private record Kind(Layout layout, PiecewiseUpdateStep.Kind ofShards) {}

  /** Adds the updates, for each task those of the parts. */
  List<List<UpdateStep.Updated>> update(List<Task> tasks) {
    Map<Task, List<UpdateStep.Updated>> updated = new HashMap<>();
    for (List<Task> stack : Stacks.of(tasks, this::kind, kind -> kind.ofShards().most())) {
      List<List<UpdateStep.Updated>> shards = together(stack);
      for (int i = 0; i < stack.size(); i++) {
        int variable = i;
        updated.put(stack.get(i), shards.stream().map(shard -> shard.get(variable)).toList());
      }
    }
    return tasks.stream().map(updated::get).toList();
  }

  private Optional<Kind> kind(Task task) {
    UpdateTask first = task.parts().get(0);
    return steps.apply(first).kind(first).map(kind -> new Kind(task.layout(), kind));
  }

  /**
   * @param stack one, or several that are alike
   * @return for each shard the updates of the variables
   */
  private List<List<UpdateStep.Updated>> together(List<Task> stack) {
    Task kind = stack.get(0);
    UpdateTask first = kind.parts().get(0);
    if (first.variable().shape().size() == 0) {
      return kind.parts().stream().map(part -> steps.apply(part).update(List.of(part))).toList();
    }
    List<List<UpdateTask>> shards = new ArrayList<>();
    for (int i = 0; i < kind.parts().size(); i++) {
      int shard = i;
      shards.add(stack.stream().map(task -> task.parts().get(shard)).toList());
    }
    return ShardedUpdate.update(
        shared,
        reduction,
        scalars.of(first.values().type(), first.variable().type()),
        kind.layout(),
        steps,
        shards);
  }
}

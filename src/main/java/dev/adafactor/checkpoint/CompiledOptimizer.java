package dev.adafactor.checkpoint;

import dev.adafactor.checkpoint.Quantity.Counter;
import dev.adafactor.checkpoint.Quantity.OfOptimizer;
import dev.adafactor.checkpoint.Quantity.Part;
import dev.adafactor.files.TensorBundle;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.TrainableModel;
import dev.adafactor.savedmodel.VariableTree;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.SerializedTensor;

/**
 * The optimizer that Keras has compiled a model with. Its state is in the SavedModel, beside the
 * weights that it belongs to: what changes the weights has to change it, too.
 *
 * <p>It takes the state of a job that it could have done itself: an Adafactor of the same
 * variables, with moving averages or without, its rate a schedule or a number. Another Adafactor
 * becomes one that has not been used yet. What the state of other optimizers is before their first
 * step, only they know: it is left as it was.
 */
public final class CompiledOptimizer {
  private static final String BEGINS = "optimizer/";

  private final TrainableModel model;
  private final TrainingState state;
  private final Matching matching;
  private final Map<String, Output<?>> variables;
  private final boolean used;
  private final Optional<String> difference;

  /**
   * Compares a model's optimizer with the one that trains it.
   *
   * @param state the model's, while it is trained
   * @throws IOException if the model's files cannot be read
   */
  public CompiledOptimizer(TrainableModel model, TrainingState state) throws IOException {
    this.model = model;
    this.state = state;
    Selection selection = state.selection(TensorBundle.read(model.values()));
    matching = selection.matching();
    variables = model.savedVariables();
    used = selection.hasOptimizer();
    difference = used ? selection.difference() : Optional.empty();
  }

  /** Whether a model has been compiled. */
  public static boolean isIn(TrainableModel model) {
    return model.savedVariables().keySet().stream().anyMatch(key -> key.startsWith(BEGINS));
  }

  /** Why it cannot take the state, and what becomes of its own; empty if it takes it. */
  public Optional<String> refusal() {
    return difference.map(
        reason ->
            "the model's own optimizer cannot take this job's state: %s; in the export its state is %s"
                .formatted(
                    reason,
                    matching.hasAdafactor()
                        ? "that before the first step"
                        : "what it was, which is not that of the new weights"));
  }

  /** Gives it the state that belongs to the variables as they are, to be exported with them. */
  public void update() {
    Ops tf = Ops.create(model.graph()).withSubScope("compiled");
    Map<String, Output<?>> values = new LinkedHashMap<>();
    if (used && difference.isEmpty()) {
      addState(values);
    } else if (matching.hasAdafactor()) {
      addBeginning(tf, values);
    }
    if (values.isEmpty()) {
      return;
    }
    Session.Runner runner = model.session().runner();
    values.forEach((key, value) -> runner.addTarget(variable(key).assign(tf, value)));
    runner.run().close();
  }

  private void addState(Map<String, Output<?>> values) {
    state
        .layout()
        .tensors()
        .forEach(
            (ours, quantity) -> {
              String theirs = matching.keys().get(ours);
              boolean counted = quantity == Counter.ITERATIONS || quantity == Counter.LEARNING_RATE;
              boolean kept = quantity instanceof OfOptimizer of && of.part() != Part.UNUSED;
              if (theirs != null && variables.containsKey(theirs) && (counted || kept)) {
                values.put(theirs, state.cell(ours).value());
              }
            });
  }

  private void addBeginning(Ops tf, Map<String, Output<?>> values) {
    Map<String, Deque<ModelVariable>> averaged = trainable();
    matching
        .states()
        .filter(part -> variables.containsKey(part.getCheckpointKey()))
        .forEach(
            part ->
                values.put(
                    part.getCheckpointKey(),
                    average(tf, part, averaged).orElseGet(() -> zeros(tf, part))));
    state
        .layout()
        .tensors()
        .forEach(
            (ours, quantity) -> {
              String theirs = matching.keys().get(ours);
              if (quantity == Counter.ITERATIONS && variables.containsKey(theirs)) {
                values.put(theirs, tf.constant(0L).asOutput());
              }
            });
  }

  /** By name, those of one name in the order in which Keras builds its optimizers. */
  private Map<String, Deque<ModelVariable>> trainable() {
    VariableTree tree = model.variableTree();
    Map<Integer, ModelVariable> byObject = model.variablesByObject();
    Map<String, Deque<ModelVariable>> named = new HashMap<>();
    for (int node : tree.trainable()) {
      ModelVariable variable = byObject.get(tree.nodes().get(node).variable().orElseThrow());
      named.computeIfAbsent(variable.name(), name -> new ArrayDeque<>()).add(variable);
    }
    return named;
  }

  private static Optional<Output<?>> average(
      Ops tf, SerializedTensor part, Map<String, Deque<ModelVariable>> averaged) {
    return Matching.averaged(part.getFullName())
        .map(averaged::get)
        .map(Deque::poll)
        .map(of -> new RawVariable(of.handle(), of.dtype()).read(tf));
  }

  private Output<?> zeros(Ops tf, SerializedTensor part) {
    Output<?> value = variable(part.getCheckpointKey()).read(tf);
    return Cell.operation(tf, "ZerosLike").addInput(value).build().output(0);
  }

  private RawVariable variable(String key) {
    Output<?> handle = variables.get(key);
    return new RawVariable(handle, Cell.type(handle));
  }
}

package dev.adafactor.savedmodel;

import dev.adafactor.files.DataTypeNames;
import dev.adafactor.graph.Placement;
import dev.adafactor.graph.VariableView;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.tensorflow.GraphOperation;
import org.tensorflow.Output;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.OpDef;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedVariable;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.VariableAggregation;

/** Copies of what a model computes in a training step, for other devices. */
final class TowerCopies {
  private final MetaGraphDef model;
  private final SignatureDef signature;
  private final FlatCopy own;
  private final FunctionChoice.Part training;
  private final FunctionChoice.Part inference;
  private final List<ModelVariable> variables;
  private final Map<String, OpDef> operations;
  private final FlatGraph needed;
  private final Set<String> nodes;

  /**
   * Looks for what has to be copied.
   *
   * @param own the copy that the model itself computes with
   * @param functions what it computes
   * @param variables the model's
   * @param operations the known operations, by name
   */
  TowerCopies(
      MetaGraphDef model,
      SignatureDef signature,
      FlatCopy own,
      FunctionChoice functions,
      List<ModelVariable> variables,
      Map<String, OpDef> operations) {
    this.model = model;
    this.signature = signature;
    this.own = own;
    this.training = functions.training();
    this.inference = functions.inference();
    this.variables = variables;
    this.operations = operations;
    this.needed = neededBy(training);
    this.nodes =
        needed.graphDef().getNodeList().stream().map(NodeDef::getName).collect(Collectors.toSet());
  }

  /**
   * Those of the variables that each device changes in a step, and whose mean over devices is their
   * value after it.
   *
   * @throws IllegalArgumentException if a step changes one that no mean is taken of, or one changes
   *     when the model predicts, too: the first device alone does that
   */
  Set<ModelVariable> averaged() {
    Map<String, SavedVariable> saved = SavedVariables.of(model);
    Set<String> written = written(needed);
    Set<String> always = written(neededBy(inference));
    Set<ModelVariable> averaged = new LinkedHashSet<>();
    for (ModelVariable variable : variables) {
      String node = own.node(variable.handle());
      if (written.contains(node)) {
        requireMean(variable, saved.get(node));
        averaged.add(variable);
      }
      if (always.contains(node)) {
        throw cannot(
            variable,
            "changes whenever the model predicts, which one device does for all; what model.save"
                + " wrote can change it in training alone (training=True)");
      }
    }
    return averaged;
  }

  private static void requireMean(ModelVariable variable, SavedVariable saved) {
    if (saved.getAggregation() != VariableAggregation.VARIABLE_AGGREGATION_MEAN) {
      throw cannot(
          variable,
          "changes with each, and its layer does not say (aggregation=MEAN) that a mean may be"
              + " taken");
    }
    if (!VariableView.isFloating(variable.dtype())) {
      throw cannot(
          variable,
          "changes with each, and is of type %s, of which no mean can be taken, though its layer"
                  .formatted(DataTypeNames.ofPython(variable.dtype()))
              + " asks for one (aggregation=MEAN): floats have means");
    }
  }

  private static IllegalArgumentException cannot(ModelVariable variable, String reason) {
    return new IllegalArgumentException(
        "several devices cannot share a batch: the model's variable '%s' %s"
            .formatted(variable.name(), reason));
  }

  private FlatGraph neededBy(FunctionChoice.Part part) {
    Set<String> tensors = part.tensors();
    signature.getInputsMap().values().forEach(info -> tensors.add(info.getName()));
    return own.flat().pruned(tensors);
  }

  private Set<String> written(FlatGraph flat) {
    return VariableWrites.of(flat.graphDef(), model.getGraphDef(), operations);
  }

  /**
   * Adds a copy to the graph.
   *
   * @param device as operations name it
   * @param scope a name that no other copy has
   * @throws IllegalArgumentException if an operation cannot be on the device, or one of the model's
   *     own variables is there
   */
  ModelTower on(String device, String scope) {
    for (ModelVariable variable : variables) {
      String saved = ((GraphOperation) variable.handle().op()).device();
      if (Placement.ifOne(saved).equals(Optional.of(Placement.one(device)))) {
        throw cannot(
            variable,
            "was saved for %s, which computes with a copy of it: save the model without the devices"
                    .formatted(device)
                + " of variables, as model.save does by itself");
      }
    }
    FlatCopy copy =
        FlatCopy.add(
            DevicePlacement.on(device, needed, operations),
            own.graph(),
            model.getGraphDef(),
            scope);
    Map<ModelVariable, Output<?>> handles = new LinkedHashMap<>();
    for (ModelVariable variable : variables) {
      String node = own.node(variable.handle());
      if (nodes.contains(node)) {
        handles.put(variable, copy.operation(node).output(0));
      }
    }
    return new ModelTower(
        Optional.of(device),
        copy.inputs(signature),
        copy.function("the training function on " + device, training),
        needed.randomness().map(name -> copy.operation(name).output(0)),
        handles);
  }
}

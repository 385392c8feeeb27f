package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedVariable;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

class VariableTreeTest {
  private static final int DEPTH = 50_000;

  private final SavedObjectGraph.Builder objects = SavedObjectGraph.newBuilder();

  private int add(String identifier) {
    SavedObject.Builder object = SavedObject.newBuilder();
    object.getUserObjectBuilder().setIdentifier(identifier);
    objects.addNodes(object);
    return objects.getNodesCount() - 1;
  }

  private int addVariable() {
    objects.addNodes(
        SavedObject.newBuilder().setVariable(SavedVariable.newBuilder().setTrainable(true)));
    return objects.getNodesCount() - 1;
  }

  private void hold(int holder, String name, int child) {
    objects
        .getNodesBuilder(holder)
        .addChildren(ObjectReference.newBuilder().setLocalName(name).setNodeId(child));
  }

  private List<Integer> trainable() {
    VariableTree tree = VariableTree.of(objects.build());
    return tree.trainable().stream()
        .map(node -> tree.nodes().get(node).variable().orElseThrow())
        .toList();
  }

  /** The order of {@code tf.Module.trainable_variables}. */
  @Test
  void aModulesOwnVariablesComeBeforeThoseOfItsModules() {
    int root = add("_generic_user_object");
    int inner = add("_generic_user_object");
    int list = add("trackable_list_wrapper");
    int last = add("_generic_user_object");
    int[] variables = {
      addVariable(), addVariable(), addVariable(), addVariable(), addVariable(), addVariable()
    };
    hold(root, "a", inner);
    hold(root, "b", list);
    hold(root, "c", variables[0]);
    hold(root, "d", last);
    hold(list, "10", variables[1]);
    hold(list, "9", variables[2]);
    hold(list, "2", root); // a cycle
    hold(inner, "x", variables[3]);
    hold(inner, "w", variables[4]);
    hold(last, "y", variables[5]);
    hold(last, "z", variables[3]); // shared
    assertEquals(
        List.of(variables[2], variables[1], variables[0], variables[4], variables[3], variables[5]),
        trainable());
  }

  @Test
  void depthDoesNotExhaustTheStack() {
    for (String identifier : List.of("_generic_user_object", "trackable_list_wrapper")) {
      objects.clear();
      int holder = add("_generic_user_object");
      for (int i = 0; i < DEPTH; i++) {
        int inner = add(identifier);
        hold(holder, "n", inner);
        holder = inner;
      }
      int variable = addVariable();
      hold(holder, "n", variable);
      assertEquals(List.of(variable), trainable());
      assertEquals(
          List.of(Collections.nCopies(DEPTH + 1, "n")),
          List.copyOf(VariableTree.of(objects.build()).paths().values()));
    }
  }

  @Test
  void referencesToNothingLeadNowhere() {
    for (int wild : new int[] {-1, Integer.MIN_VALUE, 7, Integer.MAX_VALUE}) {
      objects.clear();
      int root = add("_generic_user_object");
      int variable = addVariable();
      hold(root, "w", variable);
      hold(root, "x", wild);
      hold(root, "trainable_variables", wild);
      assertEquals(List.of(variable), trainable());
    }
  }

  @Test
  void leavesOutWhatOnlySavedModelsHave() {
    int model = add("_tf_keras_sequential");
    int layer = add("_tf_keras_layer");
    int list = add("trainable_list_wrapper");
    int kernel = addVariable();
    int bias = addVariable();
    hold(model, "layer_with_weights-0", layer);
    hold(model, "layer-0", layer);
    hold(model, "trainable_variables", list);
    hold(model, "keras_api", add("_generic_user_object"));
    hold(layer, "kernel", kernel);
    hold(layer, "bias", bias);
    hold(list, "0", bias);
    hold(list, "1", kernel);
    VariableTree tree = VariableTree.of(objects.build());
    assertEquals(4, tree.nodes().size());
    assertEquals(Map.of("layer_with_weights-0", 1, "layer-0", 1), tree.nodes().get(0).children());
    assertEquals(
        List.of(List.of("layer_with_weights-0", "kernel"), List.of("layer_with_weights-0", "bias")),
        List.copyOf(tree.paths().values()));
    assertEquals(List.of(bias, kernel), trainable());
  }

  @Test
  void isEmptyForAnEmptyModel() {
    VariableTree tree = VariableTree.of(SavedObjectGraph.getDefaultInstance());
    assertEquals(List.of(), tree.nodes());
    assertEquals(Map.of(), tree.paths());
  }
}

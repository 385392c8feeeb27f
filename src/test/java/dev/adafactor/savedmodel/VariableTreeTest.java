package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedUserObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedVariable;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

class VariableTreeTest {
  private final SavedObjectGraph.Builder objects = SavedObjectGraph.newBuilder();

  private int object(String identifier) {
    objects.addNodes(
        SavedObject.newBuilder()
            .setUserObject(SavedUserObject.newBuilder().setIdentifier(identifier)));
    return objects.getNodesCount() - 1;
  }

  private int variable(String name, boolean trainable) {
    objects.addNodes(
        SavedObject.newBuilder()
            .setVariable(SavedVariable.newBuilder().setName(name).setTrainable(trainable)));
    return objects.getNodesCount() - 1;
  }

  private void child(int parent, String name, int child) {
    objects
        .getNodesBuilder(parent)
        .addChildren(ObjectReference.newBuilder().setLocalName(name).setNodeId(child));
  }

  private List<String> trainable(VariableTree tree) {
    List<String> names = new ArrayList<>();
    for (int node : tree.trainable()) {
      int object = tree.nodes().get(node).variable().orElseThrow();
      names.add(objects.getNodes(object).getVariable().getName());
    }
    return names;
  }

  @Test
  void leavesOutWhatOnlySavedModelsHave() {
    int model = object("_tf_keras_sequential");
    int layer = object("_tf_keras_layer");
    int list = object("trainable_list_wrapper");
    int kernel = variable("kernel", true);
    int bias = variable("bias", true);
    child(model, "layer_with_weights-0", layer);
    child(model, "layer-0", layer);
    child(model, "trainable_variables", list);
    child(model, "keras_api", object("_generic_user_object"));
    child(layer, "kernel", kernel);
    child(layer, "bias", bias);
    child(list, "0", bias);
    child(list, "1", kernel);
    VariableTree tree = VariableTree.of(objects.build());
    assertEquals(4, tree.nodes().size());
    assertEquals(Map.of("layer_with_weights-0", 1, "layer-0", 1), tree.nodes().get(0).children());
    assertEquals(
        List.of(List.of("layer_with_weights-0", "kernel"), List.of("layer_with_weights-0", "bias")),
        List.copyOf(tree.paths().values()));
    assertEquals(List.of("bias", "kernel"), trainable(tree));
  }

  /** As {@code tf.Module.trainable_variables}: by name, its own before those of inner modules. */
  @Test
  void listsWhatAModuleTrains() {
    int module = object("_generic_user_object");
    int inner = object("_generic_user_object");
    int list = object("trackable_list_wrapper");
    child(module, "z", variable("z", true));
    child(module, "inner", inner);
    child(module, "list", list);
    child(module, "frozen", variable("frozen", false));
    child(module, "again", module);
    child(inner, "a", variable("inner/a", true));
    for (int i = 0; i < 11; i++) {
      child(list, Integer.toString(i), variable("list/" + i, true));
    }
    List<String> expected = new ArrayList<>();
    for (int i = 0; i < 11; i++) {
      expected.add("list/" + i);
    }
    expected.addAll(List.of("z", "inner/a"));
    assertEquals(expected, trainable(VariableTree.of(objects.build())));
  }

  @Test
  void isEmptyForAnEmptyModel() {
    VariableTree tree = VariableTree.of(SavedObjectGraph.getDefaultInstance());
    assertEquals(List.of(), tree.nodes());
    assertEquals(Map.of(), tree.paths());
  }
}

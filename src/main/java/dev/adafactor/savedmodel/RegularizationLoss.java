package dev.adafactor.savedmodel;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedConcreteFunction;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedFunction;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

/**
 * A loss that depends on variables alone, such as a regularizer's.
 *
 * @param function a function of the library, without arguments, that returns it
 * @param boundInputs the objects that are passed to the function
 */
record RegularizationLoss(String function, List<Integer> boundInputs) {
  /**
   * All of a Keras model and of the layers in it, each once.
   *
   * @return none for other objects than Keras models
   */
  static List<RegularizationLoss> ofRoot(SavedObjectGraph objects) {
    Map<Integer, RegularizationLoss> losses = new LinkedHashMap<>();
    if (objects.getNodesCount() == 0
        || !objects.getNodes(0).getUserObject().getIdentifier().startsWith("_tf_keras")) {
      return List.of();
    }
    for (SavedObject object : objects.getNodesList()) {
      for (ObjectReference child : object.getChildrenList()) {
        if (child.getLocalName().equals("regularization_losses")) {
          addList(objects, child.getNodeId(), losses);
        }
      }
    }
    return List.copyOf(losses.values());
  }

  private static void addList(
      SavedObjectGraph objects, int list, Map<Integer, RegularizationLoss> losses) {
    if (list < 0 || list >= objects.getNodesCount()) {
      return;
    }
    for (ObjectReference element : objects.getNodes(list).getChildrenList()) {
      int id = element.getNodeId();
      if (id < 0 || id >= objects.getNodesCount() || !objects.getNodes(id).hasFunction()) {
        continue;
      }
      SavedFunction function = objects.getNodes(id).getFunction();
      if (function.getConcreteFunctionsCount() > 0) {
        String name = function.getConcreteFunctions(0);
        SavedConcreteFunction concrete = objects.getConcreteFunctionsMap().get(name);
        if (concrete != null) {
          losses.put(id, new RegularizationLoss(name, concrete.getBoundInputsList()));
        }
      }
    }
  }
}

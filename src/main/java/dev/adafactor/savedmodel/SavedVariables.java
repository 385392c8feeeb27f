package dev.adafactor.savedmodel;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObject;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedObjectGraph;
import org.tensorflow.proto.SavedObjectGraphOuterClass.SavedVariable;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

/** Which of a model's Python variables each {@code VarHandleOp} of its graph is. */
final class SavedVariables {
  private final SavedObjectGraph objects;

  /** Object of each node, in the model's order. */
  private final Map<String, SavedVariable> byNode = new LinkedHashMap<>();

  private SavedVariables(SavedObjectGraph objects) {
    this.objects = objects;
  }

  /** From each {@code VarHandleOp}'s name to its variable, in the model's own order. */
  static Map<String, SavedVariable> of(MetaGraphDef metaGraph) {
    SavedVariables variables = new SavedVariables(metaGraph.getObjectGraphDef());
    CapturedObjects captured = CapturedObjects.of(metaGraph);
    Set<String> handles = new HashSet<>();
    for (NodeDef node : metaGraph.getGraphDef().getNodeList()) {
      if (node.getOp().equals("VarHandleOp")) {
        handles.add(node.getName());
      }
    }
    for (int id : variables.order()) {
      captured
          .tensor(id)
          .filter(handles::contains)
          .ifPresent(
              tensor -> variables.byNode.put(tensor, variables.objects.getNodes(id).getVariable()));
    }
    return variables.byNode;
  }

  /** Keras lists a model's variables in its root object; others come as the objects are listed. */
  private Set<Integer> order() {
    Set<Integer> order = new LinkedHashSet<>();
    if (objects.getNodesCount() > 0) {
      for (ObjectReference child : objects.getNodes(0).getChildrenList()) {
        if (child.getLocalName().equals("variables")) {
          order.addAll(elements(child.getNodeId()));
        }
      }
    }
    for (int id = 0; id < objects.getNodesCount(); id++) {
      if (isVariable(id)) {
        order.add(id);
      }
    }
    return order;
  }

  private List<Integer> elements(int list) {
    if (list < 0 || list >= objects.getNodesCount()) {
      return List.of();
    }
    List<ObjectReference> elements = new ArrayList<>();
    for (ObjectReference element : objects.getNodes(list).getChildrenList()) {
      if (element.getLocalName().matches("\\d{1,9}") && isVariable(element.getNodeId())) {
        elements.add(element);
      }
    }
    elements.sort(Comparator.comparingInt(element -> Integer.parseInt(element.getLocalName())));
    return elements.stream().map(ObjectReference::getNodeId).toList();
  }

  private boolean isVariable(int id) {
    return id >= 0
        && id < objects.getNodesCount()
        && objects.getNodes(id).getKindCase() == SavedObject.KindCase.VARIABLE;
  }
}

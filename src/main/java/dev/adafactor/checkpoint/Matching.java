package dev.adafactor.checkpoint;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;

/**
 * Finds a checkpoint's tensors as Python does: by walking its tree of objects and our own at the
 * same time, from attribute to attribute.
 */
final class Matching {
  private Matching() {}

  /**
   * The tensors of a checkpoint that are those of a layout.
   *
   * @param wanted the tree of the layout
   * @param given the tree of the checkpoint: of a {@code tf.train.Checkpoint} with a model and an
   *     optimizer, or of a model alone, as {@code save_weights} and SavedModels have it
   * @return from the layout's key to the checkpoint's
   */
  static Map<String, String> keys(TrackableObjectGraph wanted, TrackableObjectGraph given) {
    Map<Integer, Integer> matched = new HashMap<>();
    Deque<Integer> open = new ArrayDeque<>();
    int root = 0;
    matched.put(root, root);
    open.add(root);
    if (given.getNodesCount() > 0 && child(given.getNodes(root), "model").isEmpty()) {
      child(wanted.getNodes(root), "model")
          .ifPresent(
              model -> {
                matched.put(model, root);
                open.add(model);
              });
    }
    Map<String, String> keys = new LinkedHashMap<>();
    while (!open.isEmpty()) {
      int id = open.remove();
      TrackableObject ours = wanted.getNodes(id);
      int theirId = matched.get(id);
      if (theirId < 0 || theirId >= given.getNodesCount()) {
        continue;
      }
      TrackableObject theirs = given.getNodes(theirId);
      if (ours.getAttributesCount() > 0 && theirs.getAttributesCount() > 0) {
        keys.put(
            ours.getAttributes(0).getCheckpointKey(), theirs.getAttributes(0).getCheckpointKey());
      }
      for (ObjectReference reference : ours.getChildrenList()) {
        child(theirs, reference.getLocalName())
            .ifPresent(
                there -> {
                  if (matched.putIfAbsent(reference.getNodeId(), there) == null) {
                    open.add(reference.getNodeId());
                  }
                });
      }
    }
    return keys;
  }

  private static Optional<Integer> child(TrackableObject object, String name) {
    return object.getChildrenList().stream()
        .filter(reference -> reference.getLocalName().equals(name))
        .map(ObjectReference::getNodeId)
        .findFirst();
  }
}

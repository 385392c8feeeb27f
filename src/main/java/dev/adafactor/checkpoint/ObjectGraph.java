package dev.adafactor.checkpoint;

import com.google.protobuf.BoolValue;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.adafactor.files.TensorBundle;
import dev.adafactor.files.VariableKey;
import java.io.IOException;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.ObjectReference;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.SerializedTensor;

/** The tree of Python objects that a checkpoint tells its tensors by: read, or being written. */
final class ObjectGraph {
  /** The tensor that holds the tree. */
  static final String KEY = "_CHECKPOINTABLE_OBJECT_GRAPH";

  private final TrackableObjectGraph.Builder graph = TrackableObjectGraph.newBuilder();

  /**
   * The tree of a checkpoint.
   *
   * @throws IOException if it is missing or damaged
   */
  static TrackableObjectGraph read(TensorBundle checkpoint) throws IOException {
    try {
      return TrackableObjectGraph.parseFrom(checkpoint.string(KEY));
    } catch (InvalidProtocolBufferException e) {
      throw new IOException(
          "'" + checkpoint.prefix() + "' is damaged: its tree of objects cannot be read", e);
    }
  }

  /** Adds an object; the first is the root. */
  int add() {
    graph.addNodesBuilder().setHasCheckpointValues(BoolValue.of(true));
    return graph.getNodesCount() - 1;
  }

  /** Adds an object that another one holds. */
  int add(int parent, String name) {
    int child = add();
    link(parent, name, child);
    return child;
  }

  void link(int parent, String name, int child) {
    graph
        .getNodesBuilder(parent)
        .addChildren(ObjectReference.newBuilder().setLocalName(name).setNodeId(child));
  }

  /**
   * Gives an object a value.
   *
   * @param name the variable's, which Python falls back on
   * @param path the object's, from the root
   * @return the key of its tensor
   */
  String setValue(int object, String name, String path) {
    String key = VariableKey.of(path);
    graph
        .getNodesBuilder(object)
        .addAttributes(
            SerializedTensor.newBuilder()
                .setName(VariableKey.ATTRIBUTE)
                .setFullName(name)
                .setCheckpointKey(key));
    return key;
  }

  TrackableObjectGraph build() {
    return graph.build();
  }
}

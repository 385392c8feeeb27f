package dev.adafactor.graph;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InaccessibleObjectException;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.internal.c_api.TF_Graph;
import org.tensorflow.internal.c_api.TF_Session;

/** What TensorFlow Java keeps to itself, and its native library can do more with. */
record Internals(Field graphHandle, Constructor<Session> sessionConstructor) {

  /**
   * Finds the members.
   *
   * @param purpose what they are for, in words
   * @throws IllegalStateException if Java permits no reflection on TensorFlow's classes
   */
  static Internals find(String purpose) {
    try {
      Field handle = Graph.class.getDeclaredField("nativeHandle");
      handle.setAccessible(true);
      Constructor<Session> constructor =
          Session.class.getDeclaredConstructor(Graph.class, TF_Session.class);
      constructor.setAccessible(true);
      return new Internals(handle, constructor);
    } catch (InaccessibleObjectException e) {
      throw new IllegalStateException(
          purpose
              + " want Java's option --add-opens tensorflow/org.tensorflow=dev.adafactor where"
              + " TensorFlow is on the module path",
          e);
    } catch (ReflectiveOperationException e) {
      throw unlikeThisVersion(e);
    }
  }

  /**
   * The native graph.
   *
   * @throws IllegalStateException if the graph is closed
   */
  TF_Graph handle(Graph graph) {
    try {
      TF_Graph found = (TF_Graph) graphHandle.get(graph);
      if (found == null || found.isNull()) {
        throw new IllegalStateException("the graph is closed");
      }
      return found;
    } catch (ReflectiveOperationException e) {
      throw unlikeThisVersion(e);
    }
  }

  /** A session that closes the native one. */
  Session wrap(Graph graph, TF_Session session) {
    try {
      return sessionConstructor.newInstance(graph, session);
    } catch (ReflectiveOperationException e) {
      throw unlikeThisVersion(e);
    }
  }

  private static IllegalStateException unlikeThisVersion(ReflectiveOperationException e) {
    return new IllegalStateException(
        "this version of TensorFlow Java has other internals than 1.1.0", e);
  }
}

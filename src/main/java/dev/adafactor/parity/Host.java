package dev.adafactor.parity;

import dev.adafactor.mesh.Cluster;
import dev.adafactor.mesh.ClusterSession;
import java.time.Duration;
import java.util.function.Function;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.proto.ConfigProto;

/** What runs the graphs of cases. */
public sealed interface Host {

  /**
   * Makes sure that it is there.
   *
   * @throws dev.adafactor.mesh.ClusterException if one of its processes gives no answer
   * @throws IllegalArgumentException if they were started as those of another cluster
   */
  void requireUsable();

  /**
   * Works in a session of a graph, whose initializers have been run.
   *
   * @throws dev.adafactor.mesh.ClusterException if a process is lost
   */
  <R> R run(Graph graph, ConfigProto config, Function<Session, R> work);

  /** The process that asks. */
  record ThisProcess() implements Host {

    @Override
    public void requireUsable() {}

    @Override
    public <R> R run(Graph graph, ConfigProto config, Function<Session, R> work) {
      try (Session session = new Session(graph, config)) {
        return work.apply(session);
      }
    }
  }

  /**
   * Those of a cluster, which keep nothing of a graph when the work is done.
   *
   * @param timeout as {@link ClusterSession#open} takes it
   */
  record Processes(Cluster cluster, Duration timeout) implements Host {

    @Override
    public void requireUsable() {
      try (Graph empty = new Graph()) {
        ClusterSession.open(cluster, timeout, empty, ConfigProto.getDefaultInstance()).close();
      }
    }

    @Override
    public <R> R run(Graph graph, ConfigProto config, Function<Session, R> work) {
      try (ClusterSession opened = ClusterSession.open(cluster, timeout, graph, config)) {
        try {
          opened.session().initialize();
          return work.apply(opened.session());
        } catch (TensorFlowException | TFInvalidArgumentException e) {
          throw opened.explain(e);
        }
      }
    }
  }
}

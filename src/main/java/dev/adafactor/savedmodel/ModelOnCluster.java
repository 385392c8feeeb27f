package dev.adafactor.savedmodel;

import dev.adafactor.SessionConfig;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.mesh.Cluster;
import dev.adafactor.mesh.ClusterSession;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;

/**
 * The session in which the processes of a cluster run a model. Only this process reads and writes
 * the model's folder: the variables' values are sent.
 */
final class ModelOnCluster implements ModelSession {
  /** What can be sent as Java has a class for it. */
  private static final Set<DataType> SENDABLE =
      Set.of(
          DataType.DT_FLOAT,
          DataType.DT_DOUBLE,
          DataType.DT_HALF,
          DataType.DT_BFLOAT16,
          DataType.DT_INT32,
          DataType.DT_INT64,
          DataType.DT_UINT8,
          DataType.DT_UINT16,
          DataType.DT_BOOL,
          DataType.DT_STRING);

  private final SavedModelFolder folder;
  private final SavedModelBundle bundle;
  private final Set<String> variables;
  private final ClusterSession cluster;

  private ModelOnCluster(
      SavedModelFolder folder,
      SavedModelBundle bundle,
      Set<String> variables,
      ClusterSession cluster) {
    this.folder = folder;
    this.bundle = bundle;
    this.variables = variables;
    this.cluster = cluster;
  }

  /**
   * Loads the model here, and sends its variables to the cluster.
   *
   * @param timeout as {@link ClusterSession#open} takes it
   * @throws IOException if TensorFlow refuses the model, its functions read files, or a variable
   *     cannot be sent
   */
  static ModelOnCluster open(SavedModelFolder folder, Cluster cluster, Duration timeout)
      throws IOException {
    Set<String> variables = sendable(folder);
    SavedModelBundle bundle = folder.open(ConfigProto.getDefaultInstance());
    try {
      ClusterSession opened =
          ClusterSession.open(
              cluster,
              timeout,
              bundle.graph(),
              SessionConfig.forTraining().toBuilder().setAllowSoftPlacement(true).build());
      try {
        ModelOnCluster model = new ModelOnCluster(folder, bundle, variables, opened);
        model.begin();
        return model;
      } catch (TensorFlowException | TFInvalidArgumentException e) {
        RuntimeException explained = opened.explain(e);
        opened.close();
        throw explained;
      } catch (RuntimeException e) {
        opened.close();
        throw e;
      }
    } catch (RuntimeException e) {
      bundle.close();
      throw e;
    }
  }

  /** The handles of the model's variables. */
  private static Set<String> sendable(SavedModelFolder folder) throws IOException {
    if (!folder.assets().isEmpty()) {
      throw new IOException(
          ("the model's functions read the file '%s', which the processes of a cluster do not"
                  + " have: train it without --cluster")
              .formatted(folder.assets().get(0)));
    }
    Set<String> variables =
        new LinkedHashSet<>(SaverKeys.of(folder.metaGraph()).handles().values());
    for (NodeDef node : folder.metaGraph().getGraphDef().getNodeList()) {
      if (variables.contains(node.getName())) {
        DataType type = node.getAttrOrThrow("dtype").getType();
        if (!SENDABLE.contains(type)) {
          throw new IOException(
              ("the model's variable '%s' is of type %s, which cannot be sent to other processes:"
                      + " train it without --cluster")
                  .formatted(node.getName(), type));
        }
      }
    }
    return variables;
  }

  private void begin() {
    session().initialize(); // The model's own initialization, such as that of tables.
    copy(bundle.session(), session());
    bundle.session().close();
  }

  /** Copies the variables one by one: the size of a message is limited. */
  private void copy(Session from, Session to) {
    Map<String, Output<?>> values = new LinkedHashMap<>();
    variables.forEach(
        name -> values.put(name, variable(from, name).read(Ops.create(from.graph()))));
    values.forEach(
        (name, value) -> {
          RawVariable target = variable(to, name);
          GraphOperation given = placeholder(to, target.dtype());
          Op assigned = target.assign(Ops.create(to.graph()), given.output(0));
          try (Result fetched = from.runner().fetch(value).run()) {
            Tensor tensor = fetched.get(0);
            to.runner().feed(given.output(0), tensor).addTarget(assigned).run().close();
          }
        });
  }

  private static GraphOperation placeholder(Session session, DataType type) {
    var scope = Ops.create(session.graph()).scope();
    return session
        .graph()
        .opBuilder("Placeholder", scope.makeOpName("sent"), scope)
        .setAttr("dtype", type)
        .build();
  }

  private static RawVariable variable(Session session, String name) {
    GraphOperation handle = session.graph().operationOrThrow(name);
    return new RawVariable(handle.output(0), handle.attributes().getAttrType("dtype"));
  }

  @Override
  public Graph graph() {
    return bundle.graph();
  }

  @Override
  public Session session() {
    return cluster.session();
  }

  @Override
  public Optional<ClusterSession> cluster() {
    return Optional.of(cluster);
  }

  @Override
  public void save(Path prefix) throws IOException {
    try (OwnSession here = new OwnSession(folder.open(ConfigProto.getDefaultInstance()))) {
      copy(session(), here.session());
      here.save(prefix);
    }
  }

  @Override
  public void close() {
    cluster.close();
    bundle.close();
  }
}

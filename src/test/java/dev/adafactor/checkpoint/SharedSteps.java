package dev.adafactor.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.Numerics;
import dev.adafactor.ShardedGradient;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.ShardedVariable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.StreamSupport;
import org.tensorflow.Graph;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** The training that {@code shared_steps.py} describes, in a plain graph. */
final class SharedSteps implements AutoCloseable {
  private static final int STEPS = 3;

  /** As operations are compared bit by bit: none is rewritten, one runs at a time. */
  private static final ConfigProto AS_IT_IS = asItIs();

  private final Optional<Mesh> mesh;
  private final Graph graph = new Graph();
  private final Ops tf = Ops.create(graph);
  private final List<Placeholder<TFloat64>> fed = new ArrayList<>();
  private final DoubleBuffer gradients;
  private final Op train;
  private final Session session;
  private final TrainingState state;

  /** With tf_keras's bits, on one device. */
  SharedSteps(Path folder) throws IOException {
    this(folder, Optional.empty(), Numerics.TF_KERAS);
  }

  /**
   * @param mesh over which all variables are spread
   */
  SharedSteps(Path folder, Optional<Mesh> mesh, Numerics numerics) throws IOException {
    this.mesh = mesh;
    JsonNode description = new JsonMapper().readTree(folder.resolve("case.json").toFile());
    gradients =
        ByteBuffer.wrap(Files.readAllBytes(folder.resolve("gradients.bin")))
            .order(ByteOrder.LITTLE_ENDIAN)
            .asDoubleBuffer();
    Class<? extends TNumber> type =
        switch (description.get("dtype").textValue()) {
          case "float16" -> TFloat16.class;
          case "bfloat16" -> TBfloat16.class;
          case "float64" -> TFloat64.class;
          default -> TFloat32.class;
        };
    List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
    for (JsonNode variable : description.get("variables")) {
      long[] shape =
          StreamSupport.stream(variable.get(1).spliterator(), false)
              .mapToLong(JsonNode::longValue)
              .toArray();
      pairs.add(pair(type, variable.get(0).textValue(), Shape.of(shape)));
    }
    Adafactor.Builder builder =
        Adafactor.fromConfig(graph, description.get("optimizer").toString()).numerics(numerics);
    mesh.ifPresent(builder::mesh);
    Adafactor adafactor = builder.build();
    train = adafactor.applyGradients(pairs, "train");
    ConfigProto devices = mesh.map(Mesh::config).orElse(ConfigProto.getDefaultInstance());
    session = new Session(graph, true, AS_IT_IS.toBuilder().mergeFrom(devices).build());
    state = TrainingState.of(session, adafactor, List.of());
  }

  private static ConfigProto asItIs() {
    ConfigProto.Builder config =
        ConfigProto.newBuilder().setInterOpParallelismThreads(1).setIntraOpParallelismThreads(1);
    config.getGraphOptionsBuilder().getRewriteOptionsBuilder().setDisableMetaOptimizer(true);
    return config.build();
  }

  /** A variable of either kind, which starts with zeros. */
  @SuppressWarnings({"unchecked", "rawtypes"}) // The handle has a type of its own.
  private <T extends TNumber> GradAndVar<? extends TType> pair(
      Class<T> type, String name, Shape shape) {
    Placeholder<TFloat64> gradient = tf.placeholder(TFloat64.class, Placeholder.shape(shape));
    fed.add(gradient);
    Ops init = tf.withInitScope();
    var zeros = init.dtypes.cast(init.zeros(init.constant(shape.asArray()), TFloat64.class), type);
    if (mesh.isPresent()) {
      Layout layout = Layout.ofMatrices(mesh.get(), shape);
      return ShardedGradient.ofWhole(
          tf.dtypes.cast(gradient, type), ShardedVariable.create(tf, name, layout, zeros));
    }
    boolean isReference = fed.size() % 2 == 0;
    Output<?> variable =
        graph
            .opBuilder(isReference ? "VariableV2" : "VarHandleOp", name, tf.scope())
            .setAttr("dtype", zeros.asOutput().dataType())
            .setAttr("shape", shape)
            .setAttr("shared_name", name)
            .build()
            .output(0);
    if (isReference) {
      init.assign((Output<T>) variable, zeros);
    } else {
      init.assignVariableOp((Output<? extends TType>) variable, zeros);
    }
    return new GradAndVar(tf.dtypes.cast(gradient, type).asOutput(), variable);
  }

  /** Takes the steps of a part, from 0. */
  void take(int part) {
    gradients.position(part * STEPS * (gradients.capacity() / (3 * STEPS)));
    for (int step = 0; step < STEPS; step++) {
      Session.Runner runner = session.runner().addTarget(train);
      List<TFloat64> tensors = new ArrayList<>();
      for (Placeholder<TFloat64> gradient : fed) {
        double[] elements = new double[Math.toIntExact(gradient.shape().size())];
        gradients.get(elements);
        tensors.add(TFloat64.tensorOf(gradient.shape(), DataBuffers.of(elements)));
        runner.feed(gradient, tensors.get(tensors.size() - 1));
      }
      runner.run().close();
      tensors.forEach(TFloat64::close);
    }
  }

  TrainingState state() {
    return state;
  }

  @Override
  public void close() {
    session.close();
    graph.close();
  }
}

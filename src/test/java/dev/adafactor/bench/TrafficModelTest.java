package dev.adafactor.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.bench.Traffic.Link;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.parity.ElementType;
import dev.adafactor.parity.OnMesh;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.Graph;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.op.Op;
import org.tensorflow.proto.RunOptions;

class TrafficModelTest {
  private static final int SCALAR = 4;

  /** Of every rank, some that no mesh divides, some alike, and one that has a sparse gradient. */
  private static final List<Parameter> PARAMETERS =
      List.of(
          Parameter.dense("matrix", 12, 8),
          Parameter.dense("matrix of the same shape", 12, 8),
          Parameter.dense("vector", 8),
          Parameter.dense("vector of the same shape", 8),
          Parameter.dense("batch", 4, 6, 10),
          Parameter.dense("odd", 5, 8),
          Parameter.dense("odd vector", 7),
          Parameter.dense("scalar"),
          Parameter.dense("empty", 0, 4),
          Parameter.sparse("table", 6, 20, 4));

  private static Traffic model(String mesh, Parameter... parameters) {
    return TrafficModel.of(Mesh.virtualCpus(mesh), ElementType.FLOAT32, List.of(parameters));
  }

  private static long sharedScalars(int devices) {
    return 2L * SCALAR * (devices - 1);
  }

  @Property(tries = 50)
  void isWhatItSaysForMatrices(
      @ForAll @IntRange(min = 1, max = 5) int p,
      @ForAll @IntRange(min = 1, max = 5) int q,
      @ForAll @IntRange(min = 1, max = 9) int localRows,
      @ForAll @IntRange(min = 1, max = 9) int localColumns) {
    int rows = p * localRows;
    int columns = q * localColumns;
    int m = p * q;
    long elements = 2L * (q - 1) * rows + 2L * (p - 1) * columns + 2L * q * (p - 1) + 3L * (m - 1);
    assertEquals(
        elements * SCALAR + sharedScalars(m),
        model("x=%d,y=%d".formatted(p, q), Parameter.dense("w", rows, columns)).total());
  }

  @Test
  void sendsEachReplicaTheShard() {
    assertEquals(
        Map.of(new Link(0, 1), 20L * SCALAR, new Link(0, 2), 20L * SCALAR),
        model("z=3", Parameter.dense("w", 4, 5)).bytes());
  }

  @Test
  void hasOneDeviceSendNothing() {
    assertEquals(0, model("x=1", PARAMETERS.toArray(Parameter[]::new)).total());
  }

  @Test
  void addsUpOnTheFirstOfALine() {
    Traffic traffic = model("x=4", Parameter.dense("w", 8, 100));
    // 100 column means, 3 scalars of which one comes back, and the mean of the row means.
    assertEquals(3 * (100 + 1 + 2) * SCALAR, traffic.receivedBy(0));
    assertEquals(3 * (100 + 1 + 1) * SCALAR + sharedScalars(4), traffic.sentBy(0));
    assertEquals((100 + 1 + 2) * SCALAR, traffic.sentBy(3));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "x=2,y=2     | FLOAT32",
        "x=2,y=2     | FLOAT16",
        "x=2,y=2     | FLOAT64",
        "x=4         | FLOAT32",
        "y=4         | FLOAT32",
        "x=3         | BFLOAT16",
        "z=2,x=2,y=2 | FLOAT32"
      })
  void isWhatTensorFlowSends(String dimensions, ElementType type) {
    Mesh mesh = Mesh.virtualCpus(dimensions);
    assertEquals(
        TrafficModel.of(mesh, type, PARAMETERS),
        Distribution.measured(mesh, transfers(mesh, type, PARAMETERS, UnaryOperator.identity())));
  }

  /** What the model leaves out: it is of the default arguments. */
  @Test
  void knowsNothingOfClipping() {
    Mesh mesh = Mesh.virtualCpus("x=2,y=2");
    List<Parameter> matrices = List.of(Parameter.dense("a", 12, 8), Parameter.dense("b", 6, 4));
    long without = TrafficModel.of(mesh, ElementType.FLOAT32, matrices).total();
    // The sum of squares of each shard, and what comes back.
    assertEquals(
        without + 2 * (3 + 3) * SCALAR, sent(mesh, matrices, builder -> builder.clipnorm(1)));
    // It comes back once, for all variables.
    assertEquals(
        without + (2 * 3 + 3) * SCALAR, sent(mesh, matrices, builder -> builder.globalClipnorm(1)));
    assertEquals(without, sent(mesh, matrices, builder -> builder.clipvalue(1)));
  }

  private static long sent(
      Mesh mesh, List<Parameter> parameters, UnaryOperator<Adafactor.Builder> arguments) {
    return Distribution.measured(mesh, transfers(mesh, ElementType.FLOAT32, parameters, arguments))
        .total();
  }

  /** What is sent in a step. */
  private static List<Transfer> transfers(
      Mesh mesh,
      ElementType type,
      List<Parameter> parameters,
      UnaryOperator<Adafactor.Builder> arguments) {
    Keeping keeping = new InShards(new OnMesh(mesh, Reductions.ADD_N));
    RunOptions options =
        RunOptions.newBuilder()
            .setTraceLevel(RunOptions.TraceLevel.SOFTWARE_TRACE)
            .setOutputPartitionGraphs(true)
            .build();
    try (Graph graph = new Graph();
        Session session = new Session(graph, mesh.config())) {
      Variables variables = new Variables(graph, type.tensorType(), keeping, parameters);
      Op step =
          arguments
              .apply(Adafactor.builder(graph).mesh(mesh))
              .build()
              .applyGradients(variables.pairs(), "step");
      variables.initialize(session);
      session.initialize();
      try (Result result =
          session.runner().addTarget(step).setOptions(options).runAndFetchMetadata()) {
        List<Transfer> transfers = Transfer.of(result.getMetadata().orElseThrow());
        assertTrue(transfers.stream().anyMatch(each -> each.bytes() == 0), "no signals");
        return transfers;
      }
    }
  }
}

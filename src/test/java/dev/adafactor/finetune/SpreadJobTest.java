package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import dev.adafactor.LogCapture;
import dev.adafactor.mesh.Mesh;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Graph;
import org.tensorflow.Output;
import org.tensorflow.framework.constraints.MaxNorm;

/** Jobs whose variables are spread over devices of this process, or that divide batches. */
class SpreadJobTest {
  private static final long STEPS = 8;

  /** Rounding, as eight steps multiply it. */
  private static final double BOUND = 2e-4;

  @TempDir Path folder;

  /** A job with all that has to do with variables. */
  private static FineTuning.Builder job(String dimensions) {
    Optional<Mesh> mesh = Optional.of(dimensions).filter(d -> !d.isEmpty()).map(Mesh::virtualCpus);
    FineTuning.Builder job =
        Digits.job()
            .batchSize(160)
            .microBatchSize(96)
            .seed(3)
            .validationSplit(0.1)
            .earlyStopping(EarlyStopping.patience(3))
            .logVariables(VariableDetail.HISTOGRAMS)
            .logEvery(3)
            .optimizer(
                graph -> {
                  List<Output<?>> biases = handles(graph, "bias");
                  Adafactor.Builder adafactor =
                      Adafactor.builder(graph)
                          .learningRate(0.03)
                          .weightDecay(0.004)
                          .excludeFromWeightDecay(biases)
                          .globalClipnorm(1)
                          .useEma(true)
                          .emaMomentum(0.9)
                          .emaOverwriteFrequency(4);
                  biases.forEach(bias -> adafactor.constraint(bias, new MaxNorm(0.05f)));
                  mesh.ifPresent(adafactor::mesh);
                  return adafactor.build();
                });
    mesh.ifPresent(job::mesh);
    return job;
  }

  /** The model's own variables; the shards are made of them later. */
  private static List<Output<?>> handles(Graph graph, String name) {
    List<Output<?>> handles = new ArrayList<>();
    graph
        .operations()
        .forEachRemaining(
            op -> {
              if (op.type().equals("VarHandleOp") && op.name().contains(name)) {
                handles.add(op.output(0));
              }
            });
    return handles;
  }

  private static TrainingListener stopAfter(long step, StopRequest stop) {
    return new TrainingListener() {
      @Override
      public void stepped(Step done) {
        if (done.number() == step) {
          stop.stop();
        }
      }
    };
  }

  private static void assertSameModel(Path expected, Path actual) throws IOException {
    Map<String, double[]> weights = PlainArrays.weights(expected);
    Map<String, double[]> others = PlainArrays.weights(actual);
    assertEquals(weights.keySet(), others.keySet());
    weights.forEach((name, values) -> assertArrayEquals(values, others.get(name), BOUND, name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"x=2,y=2", "x=4", "x=3", "batch=2", "batch=2,x=2", "x=2,batch=3"})
  void areTheSameToRounding(String mesh) throws IOException {
    Path whole = folder.resolve("whole");
    Path spread = folder.resolve("spread");
    FineTuningResult expected = job("").export(whole).build().run();
    FineTuningResult actual = job(mesh).export(spread).build().run();
    assertEquals(STEPS, actual.steps().size());
    for (int i = 0; i < STEPS; i++) {
      double loss = expected.steps().get(i).loss();
      assertEquals(loss, actual.steps().get(i).loss(), BOUND * loss);
    }
    assertEquals(expected.after().orElseThrow().loss(), actual.after().orElseThrow().loss(), BOUND);
    assertSameModel(whole, spread);
  }

  @ParameterizedTest
  @CsvSource({
    "'x=2,y=2', 'x=2,y=2'",
    "'x=2,y=2', ''",
    "'', 'y=2'",
    "x=4, 'x=2,y=2,z=2'",
    "'batch=2,x=2', 'batch=2,x=2'",
    "batch=4, batch=4",
    "batch=3, x=2"
  })
  void goOnOnAnotherMesh(String first, String second) throws IOException {
    Path whole = folder.resolve("whole");
    FineTuningResult expected = job(first).export(whole).build().run();
    Path checkpoints = folder.resolve("checkpoints");
    StopRequest stop = new StopRequest();
    job(first).checkpoint(checkpoints).build().run(stop, stopAfter(5, stop));
    Path resumed = folder.resolve("resumed");
    FineTuningResult rest =
        job(second).checkpoint(checkpoints).resume().export(resumed).build().run();
    assertEquals(STEPS - 5, rest.steps().size());
    if (first.equals(second)) {
      assertEquals(expected.steps().subList(5, (int) STEPS), rest.steps());
      assertEquals(expected.after(), rest.after());
    }
    assertSameModel(whole, resumed);
  }

  @Test
  void warnOnceOfWhatMakesTheOutput() throws IOException {
    try (LogCapture log = new LogCapture(Task.class)) {
      Digits.job()
          .epochs(1)
          .fromLogits()
          .validationSplit(0.1)
          .mesh(Mesh.virtualCpus("batch=2"))
          .optimizer(graph -> Adafactor.builder(graph).mesh(Mesh.virtualCpus("batch=2")).build())
          .build()
          .run();
      assertEquals(
          List.of(
              "WARNING the output 'probabilities' is said to be logits, but a Softmax makes it: the"
                  + " loss takes what goes into that"),
          log.messages());
    }
  }

  @Test
  void haveTheOptimizersMesh() {
    FineTuning.Builder job = Digits.job().mesh(Mesh.virtualCpus("x=2"));
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> job.build().run());
    assertTrue(e.getMessage().contains("the optimizer has none"), e::getMessage);
  }

  @Test
  void needAnExampleForEachDevice() {
    FineTuning job = Digits.job().batchSize(673).mesh(Mesh.virtualCpus("batch=2")).build();
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, job::run);
    assertTrue(e.getMessage().contains("1347 rows in batches of 673 one has 1"), e::getMessage);
  }

  @Test
  void needADimensionToCutAlong() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> Digits.job().mesh(Mesh.virtualCpus("a=2")));
    assertTrue(e.getMessage().contains("a=2 has neither x"), e::getMessage);
  }
}

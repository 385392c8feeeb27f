package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.checkpoint.SavedState.Part;
import dev.adafactor.files.Bundles;
import dev.adafactor.finetune.Digits;
import dev.adafactor.finetune.FineTuning;
import dev.adafactor.finetune.Loss;
import dev.adafactor.parity.JobComparison.Finding;
import dev.adafactor.parity.JobComparison.Judgement;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Compares recordings with one another: another job's stands for what Python did. */
class JobComparisonTest {
  private static final int STEPS = 15;

  @TempDir static Path folder;

  private static Path job;
  private static Path again;
  private static Path faster;

  @BeforeAll
  static void record() throws IOException {
    job = record("job", 0.03);
    again = record("again", 0.03);
    faster = record("faster", 0.04);
  }

  private static Path record(String name, double rate) throws IOException {
    Path recording = Files.createDirectory(folder.resolve(name));
    FineTuning.builder(Digits.MODEL, Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
        .features(Digits.TEST_IMAGES)
        .labels(Digits.TEST_LABELS)
        .optimizer(graph -> Adafactor.builder(graph).learningRate(rate).useEma(true).build())
        .record(recording, 1 << 30)
        .build()
        .run();
    writeLosses(recording);
    return recording;
  }

  /** As Python does. */
  private static void writeLosses(Path recording) throws IOException {
    JsonNode job = new JsonMapper().readTree(recording.resolve("job.json").toFile());
    writeLosses(
        recording,
        StreamSupport.stream(job.get("losses").spliterator(), false)
            .mapToDouble(JsonNode::doubleValue)
            .toArray());
  }

  private static void writeLosses(Path run, double... losses) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.allocate(Double.BYTES * losses.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asDoubleBuffer().put(losses);
    Files.write(run.resolve("losses.float64"), bytes.array());
  }

  @Test
  void theSameJobIsTheSame() throws IOException {
    JobComparison comparison = JobComparison.of(new JobSides(job, again));
    assertEquals(Judgement.SAME, comparison.judgement());
    assertTrue(comparison.firstDifference().isEmpty());
    assertTrue(comparison.doubtfulSteps().isEmpty());
    assertEquals(STEPS, comparison.losses().size());
    assertEquals(STEPS + 1, comparison.moments().size(), "the steps and the end");
    assertEquals(Set.of(Part.values()), Set.copyOf(comparison.tallies().keySet()));
    assertTrue(comparison.tallies().get(Part.VARIABLE).elements() > 38_282 * STEPS);
  }

  @Test
  void anotherRateIsApartFromTheFirstStep() throws IOException {
    JobComparison comparison = JobComparison.of(new JobSides(job, faster));
    assertEquals(Judgement.APART, comparison.judgement());
    Deviation first = comparison.firstParting().orElseThrow();
    assertEquals(1, first.step());
    assertEquals(Part.LEARNING_RATE, first.item().part());
    assertEquals(Set.copyOf(range()), new TreeSet<>(comparison.doubtfulSteps()));
    Finding worst = comparison.worst(Part.VARIABLE).get(0);
    assertEquals(Judgement.APART, worst.judgement());
    assertTrue(worst.deviation().ofWay() > 0.1, () -> worst.toString());
  }

  private static List<Long> range() {
    return LongStream.rangeClosed(1, STEPS).boxed().toList();
  }

  /** Where tf_keras itself is as far from itself, nothing can be said of the variables. */
  @Test
  void noiseExcuses() throws IOException {
    JobComparison comparison = JobComparison.of(new JobSides(job, faster)).withNoise(again);
    assertFalse(comparison.worst(Part.VARIABLE).isEmpty());
    comparison
        .worst(Part.VARIABLE)
        .forEach(each -> assertEquals(Judgement.UNDETERMINED, each.judgement()));
    JobComparison without = JobComparison.of(new JobSides(job, faster)).withNoise(faster);
    assertEquals(Judgement.APART, without.worst(Part.VARIABLE).get(0).judgement());
  }

  @Test
  void lossesThatAreNotFiniteAreNotCompared() throws IOException {
    Path ruined = copy(again, "ruined");
    double[] losses = new double[STEPS];
    Arrays.fill(losses, Double.NaN);
    losses[0] = 1;
    losses[1] = 1;
    writeLosses(ruined, losses);
    JobComparison comparison = JobComparison.of(new JobSides(job, ruined));
    assertEquals(3, comparison.firstNotFinite().orElseThrow());
    assertFalse(comparison.judgement().isGood());
  }

  @Test
  void summarizesForAReport() throws IOException {
    JobComparison comparison = JobComparison.of(new JobSides(job, faster));
    ComparedRun run = comparison.run("digits", List.of("a note"));
    assertEquals(Standing.APART, run.standing());
    assertEquals(range(), run.points().stream().map(Integer::longValue).toList());
    assertEquals(8, run.variables().size());
    Difference first = run.verdict().orElseThrow().first().orElseThrow();
    assertEquals(0, first.step());
    // The loss of each step and the rate; of 4 matrices and 4 vectors value, average, v; of
    // matrices r and c.
    assertEquals(2 + 8 * 3 + 4 * 2, run.courses().size());
    for (Course course : run.courses()) {
      assertEquals(STEPS, course.rms().recorded().size(), () -> course.subject().toString());
    }
    assertEquals(
        Standing.BIT_EQUAL,
        JobComparison.of(new JobSides(job, again)).run("digits", List.of()).standing());
  }

  /** Of all elements that differ then, the one that does so most. */
  @ParameterizedTest
  @ValueSource(floats = {7, Float.NaN, Float.NEGATIVE_INFINITY})
  void namesTheElementThatIsFurthest(float ruined) throws IOException {
    Path other = copy(again, "ruined-element-" + ruined);
    float[] before = new float[1];
    Bundles.change(
        other.resolve("step-3"),
        "model/layer_with_weights-2/kernel/",
        values -> {
          values.putFloat(4 * 10, Math.nextUp(values.getFloat(4 * 10)));
          before[0] = values.getFloat(4 * 25);
          values.putFloat(4 * 25, ruined);
          values.putFloat(4 * 30, Math.nextUp(values.getFloat(4 * 30)));
        });
    Difference first =
        JobComparison.of(new JobSides(job, other))
            .run("digits", List.of())
            .verdict()
            .orElseThrow()
            .first()
            .orElseThrow();
    assertEquals(2, first.step());
    assertEquals(Quantity.VAR, first.quantity());
    assertEquals("dense/kernel", first.variable());
    assertEquals(25, first.element());
    assertEquals(
        Set.of(before[0], ruined), Set.of((float) first.recorded(), (float) first.computed()));
  }

  @Test
  void namesWhatIsMissing() throws IOException {
    Path partial = copy(again, "partial");
    Files.delete(partial.resolve("step-3.index"));
    JobSides sides = new JobSides(job, partial);
    IOException e = assertThrows(IOException.class, () -> JobComparison.of(sides));
    assertTrue(e.getMessage().contains("step-3.index"), e::getMessage);
  }

  private static Path copy(Path recording, String name) throws IOException {
    Path copy = Files.createDirectory(folder.resolve(name));
    try (Stream<Path> files = Files.list(recording)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(file.getFileName()));
      }
    }
    return copy;
  }
}

package dev.adafactor.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import dev.adafactor.Adafactor;
import dev.adafactor.finetune.FineTuning;
import dev.adafactor.finetune.Loss;
import dev.adafactor.finetune.TrainingListener;
import dev.adafactor.python.Python;
import dev.adafactor.savedmodel.Mode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/**
 * Time and memory of a training step beside tf_keras's in Python: the two processes take turns,
 * some steps each. A ratio below 1 says that Java is faster, or takes less.
 *
 * <p>Arguments: a workload of {@code workloads.py}; {@code inference} or {@code training}; the
 * examples of a step; the rounds; the steps of a round. The system property {@code python} names
 * the interpreter.
 *
 * <pre>{@code
 * mvn -q test-compile exec:exec -Dexec.executable=java -Dexec.classpathScope=test -Dexec.args="-cp
 *     %classpath -Dpython=PYTHON dev.adafactor.benchmarks.FineTuningSteps cnn training 32 15 20"
 * }</pre>
 */
final class FineTuningSteps implements TrainingListener {
  private static final int NPY_HEADER = 128;

  /** Of the first steps, which build and optimize what later ones run. */
  private static final int WARM_UP = 3;

  private static final Cost NONE = new Cost(0, 0);

  private final TfKerasTraining peer;
  private final int stepsPerRound;
  private final List<Cost> own = new ArrayList<>();
  private final List<Cost> peers = new ArrayList<>();
  private Cost loading = NONE;
  private Cost firstStep = NONE;
  private Cost start = Cost.soFar(ProcessHandle.current());

  /** Seconds by the clock, and of all processors together: those do not see other programs. */
  private record Cost(double seconds, double processorSeconds) {
    Cost plus(Cost more) {
      return new Cost(seconds + more.seconds, processorSeconds + more.processorSeconds);
    }

    static Cost soFar(ProcessHandle process) {
      return new Cost(
          System.nanoTime() / 1e9,
          process.info().totalCpuDuration().map(Duration::toNanos).orElseThrow() / 1e9);
    }

    Cost since(Cost before) {
      return new Cost(seconds - before.seconds, processorSeconds - before.processorSeconds);
    }
  }

  private FineTuningSteps(TfKerasTraining peer, int stepsPerRound) {
    this.peer = peer;
    this.stepsPerRound = stepsPerRound;
  }

  public static void main(String[] arguments) throws IOException, InterruptedException {
    System.setProperty("org.bytedeco.javacpp.maxphysicalbytes", "0");
    System.setProperty("org.bytedeco.javacpp.maxbytes", "0");
    String workload = arguments[0];
    Mode mode = Mode.valueOf(arguments[1].toUpperCase(Locale.ROOT));
    int batchSize = Integer.parseInt(arguments[2]);
    int rounds = Integer.parseInt(arguments[3]);
    int stepsPerRound = Integer.parseInt(arguments[4]);
    Path folder = Files.createTempDirectory(workload);
    try {
      System.out.print(Python.run("workloads.py", workload, folder));
      compare(folder, mode, batchSize, rounds, stepsPerRound);
    } finally {
      delete(folder);
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static void compare(Path folder, Mode mode, int batchSize, int rounds, int stepsPerRound)
      throws IOException {
    try (TfKerasTraining peer =
        new TfKerasTraining(
            folder, "--batch-size", batchSize, "--mode", mode.name().toLowerCase(Locale.ROOT))) {
      double first = peer.run(1);
      Cost peersFirst = new Cost(first, Cost.soFar(peer.process()).processorSeconds());
      peer.run(WARM_UP - 1);
      FineTuningSteps times = new FineTuningSteps(peer, stepsPerRound);
      times.train(folder, mode, batchSize, WARM_UP + rounds * stepsPerRound);
      times.print(peersFirst, peer.finish());
    }
  }

  private void train(Path folder, Mode mode, int batchSize, int steps) throws IOException {
    FineTuning.Builder job =
        FineTuning.builder(folder.resolve("model"), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
            .mode(mode)
            .labels(folder.resolve("labels.npy"))
            .fromLogits()
            .batchSize(batchSize)
            .optimizer(
                graph -> Adafactor.builder(graph).learningRate(1e-3).epsilon1(1e-16).build());
    for (String input : Files.readAllLines(folder.resolve("inputs.txt"))) {
      job.features(input, folder.resolve(input + ".npy"));
    }
    long rows = (Files.size(folder.resolve("labels.npy")) - NPY_HEADER) / Integer.BYTES;
    int stepsPerEpoch = Math.toIntExact(rows / batchSize);
    FineTuning training = job.epochs((steps - 1) / stepsPerEpoch + 1).build();
    start = Cost.soFar(ProcessHandle.current());
    training.run(this);
  }

  @Override
  public void planned(Plan plan) {
    loading = Cost.soFar(ProcessHandle.current()).since(start);
    start = Cost.soFar(ProcessHandle.current());
  }

  @Override
  public void stepped(Step step) {
    ProcessHandle self = ProcessHandle.current();
    if (step.number() == 1) {
      firstStep = Cost.soFar(self).since(start);
    }
    long measured = step.number() - WARM_UP;
    if (measured > 0 && measured % stepsPerRound == 0) {
      own.add(Cost.soFar(self).since(start));
      Cost before = Cost.soFar(peer.process());
      try {
        peer.run(stepsPerRound);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      peers.add(Cost.soFar(peer.process()).since(before));
    }
    if (measured >= 0 && measured % stepsPerRound == 0) {
      start = Cost.soFar(self);
    }
  }

  /**
   * @param peersFirst the first step's time, and the processor time of all that came before, too
   */
  private void print(Cost peersFirst, JsonNode peerReport) throws IOException {
    System.out.printf("%-34s %10s %10s %7s%n", "", "Java", "Python", "ratio");
    print("loading (ms)", loading.seconds * 1e3, peerReport.get("load_s").asDouble() * 1e3);
    print("first step (ms)", firstStep.seconds * 1e3, peersFirst.seconds * 1e3);
    print(
        "processor time of both (ms)",
        loading.plus(firstStep).processorSeconds * 1e3,
        peersFirst.processorSeconds * 1e3);
    print("step, median of rounds (ms)", median(own, Cost::seconds), median(peers, Cost::seconds));
    print("step, best round (ms)", least(own), least(peers));
    print(
        "processor time, median (ms)",
        median(own, Cost::processorSeconds),
        median(peers, Cost::processorSeconds));
    print(
        "peak memory (MiB)",
        PeakMemory.of(ProcessHandle.current()) / 0x1p20,
        peerReport.get("peak_bytes").asLong() / 0x1p20);
  }

  private static void print(String what, double own, double peers) {
    System.out.printf("%-34s %10.1f %10.1f %7.2f%n", what, own, peers, own / peers);
  }

  /** Of the rounds, in milliseconds a step. */
  private double median(List<Cost> rounds, ToDoubleFunction<Cost> part) {
    double[] sorted = rounds.stream().mapToDouble(part).sorted().toArray();
    return sorted[sorted.length / 2] * 1e3 / stepsPerRound;
  }

  private double least(List<Cost> rounds) {
    return rounds.stream().mapToDouble(Cost::seconds).min().orElseThrow() * 1e3 / stepsPerRound;
  }
}

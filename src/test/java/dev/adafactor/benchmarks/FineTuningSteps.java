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
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Time and memory of a training step beside tf_keras's in Python: the two processes take turns,
 * some steps each. A ratio below 1 says that Java is faster, or takes less.
 *
 * <p>Arguments: a workload of {@code workloads.py}; {@code inference} or {@code training}; the
 * examples of a step; the rounds; the steps of a round. The system property {@code python} names
 * the interpreter.
 */
final class FineTuningSteps implements TrainingListener {
  private static final int NPY_HEADER = 128;

  /** Of the first steps, which build and optimize what later ones run. */
  private static final int WARM_UP = 3;

  private final TfKerasTraining peer;
  private final int stepsPerRound;
  private final List<Double> own = new ArrayList<>();
  private final List<Double> peers = new ArrayList<>();
  private double firstStep;
  private long start;

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
    System.out.print(Python.run("workloads.py", workload, folder));
    try (TfKerasTraining peer =
        new TfKerasTraining(folder, "--batch-size", batchSize, "--mode", arguments[1])) {
      double peersFirst = peer.run(1);
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
    job.epochs((steps - 1) / stepsPerEpoch + 1).build().run(this);
  }

  @Override
  public void planned(Plan plan) {
    start = System.nanoTime();
  }

  @Override
  public void stepped(Step step) {
    if (step.number() == 1) {
      firstStep = seconds();
    }
    long measured = step.number() - WARM_UP;
    if (measured > 0 && measured % stepsPerRound == 0) {
      own.add(seconds());
      try {
        peers.add(peer.run(stepsPerRound));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    if (measured >= 0 && measured % stepsPerRound == 0) {
      start = System.nanoTime();
    }
  }

  private double seconds() {
    return (System.nanoTime() - start) / 1e9;
  }

  private void print(double peersFirst, JsonNode peerReport) throws IOException {
    System.out.printf("%-28s %10s %10s %7s%n", "", "Java", "Python", "ratio");
    print("first step (ms)", firstStep * 1e3, peersFirst * 1e3);
    double perStep = 1e3 / stepsPerRound;
    print("step, median of rounds (ms)", median(own) * perStep, median(peers) * perStep);
    print("step, best round (ms)", min(own) * perStep, min(peers) * perStep);
    print(
        "peak memory (MiB)",
        PeakMemory.of(ProcessHandle.current()) / 0x1p20,
        peerReport.get("peak_bytes").asLong() / 0x1p20);
    List<Double> ratios = new ArrayList<>();
    for (int round = 0; round < own.size(); round++) {
      ratios.add(own.get(round) / peers.get(round));
    }
    System.out.printf("median of the rounds' ratios: %.2f%n", median(ratios));
  }

  private static void print(String what, double own, double peers) {
    System.out.printf("%-28s %10.1f %10.1f %7.2f%n", what, own, peers, own / peers);
  }

  private static double median(List<Double> values) {
    return values.stream().sorted().skip(values.size() / 2).findFirst().orElseThrow();
  }

  private static double min(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).min().orElseThrow();
  }
}

package dev.adafactor.benchmarks;

import dev.adafactor.Adafactor;
import dev.adafactor.finetune.FineTuning;
import dev.adafactor.finetune.Loss;
import dev.adafactor.finetune.StopRequest;
import dev.adafactor.finetune.TensorBoardLog;
import dev.adafactor.finetune.TrainingListener;
import dev.adafactor.finetune.VariableDetail;
import dev.adafactor.savedmodel.Mode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.stream.IntStream;

/**
 * What TensorBoard events cost a training step: the same job without events, with those of loss and
 * rate alone, and with each {@link VariableDetail}; the jobs take turns in one process, some steps
 * each. Processor time is that of the process; the ratios are medians over the rounds, each of them
 * to the round without events.
 *
 * <p>Arguments: a folder that {@code workloads.py} has filled; {@code inference} or {@code
 * training}; the examples of a step; the rounds; the steps of a round.
 *
 * <pre>{@code
 * python src/test/python/workloads.py cnn FOLDER
 * mvn -q test-compile exec:exec -Dexec.executable=java -Dexec.classpathScope=test -Dexec.args="-cp
 *     %classpath dev.adafactor.benchmarks.WatchingCost FOLDER training 32 15 20"
 * }</pre>
 */
final class WatchingCost implements TrainingListener {
  private static final int WARM_UP = 10;

  private final Semaphore own;
  private final Semaphore next;
  private final StopRequest stop;
  private final int rounds;
  private final int stepsPerRound;
  private final List<Duration> times = new ArrayList<>();
  private Duration start = Duration.ZERO;

  private WatchingCost(
      Semaphore own, Semaphore next, StopRequest stop, int rounds, int stepsPerRound) {
    this.own = own;
    this.next = next;
    this.stop = stop;
    this.rounds = rounds;
    this.stepsPerRound = stepsPerRound;
  }

  /** A job, and what of it goes to TensorBoard; nothing without detail. */
  private record Variant(String name, Optional<VariableDetail> detail) {}

  private static final List<Variant> VARIANTS =
      List.of(
          new Variant("without events", Optional.empty()),
          new Variant("none", Optional.of(VariableDetail.NONE)),
          new Variant("summary", Optional.of(VariableDetail.SUMMARY)),
          new Variant("scalars", Optional.of(VariableDetail.SCALARS)),
          new Variant("histograms", Optional.of(VariableDetail.HISTOGRAMS)));

  public static void main(String[] arguments) throws Exception {
    System.setProperty("org.bytedeco.javacpp.maxphysicalbytes", "0");
    System.setProperty("org.bytedeco.javacpp.maxbytes", "0");
    Path folder = Path.of(arguments[0]);
    Mode mode = Mode.valueOf(arguments[1].toUpperCase(Locale.ROOT));
    int batchSize = Integer.parseInt(arguments[2]);
    int rounds = Integer.parseInt(arguments[3]);
    int stepsPerRound = Integer.parseInt(arguments[4]);
    List<Semaphore> turns = VARIANTS.stream().map(each -> new Semaphore(0)).toList();
    ExecutorService threads = Executors.newFixedThreadPool(VARIANTS.size());
    List<Future<List<Duration>>> results = new ArrayList<>();
    for (int i = 0; i < VARIANTS.size(); i++) {
      Variant variant = VARIANTS.get(i);
      StopRequest stop = new StopRequest();
      WatchingCost cost =
          new WatchingCost(
              turns.get(i), turns.get((i + 1) % turns.size()), stop, rounds, stepsPerRound);
      Callable<List<Duration>> job =
          () -> {
            cost.await();
            try {
              run(job(folder, mode, batchSize), variant, stop, cost);
            } finally {
              cost.next.release();
            }
            return cost.times;
          };
      results.add(threads.submit(job));
    }
    turns.get(0).release();
    List<double[]> times = new ArrayList<>();
    for (Future<List<Duration>> result : results) {
      times.add(result.get().stream().mapToDouble(time -> time.toNanos() / 1e6).toArray());
    }
    threads.shutdown();
    print(times, stepsPerRound);
  }

  private static FineTuning.Builder job(Path folder, Mode mode, int batchSize) throws IOException {
    FineTuning.Builder job =
        FineTuning.builder(folder.resolve("model"), Loss.SPARSE_CATEGORICAL_CROSSENTROPY)
            .mode(mode)
            .labels(folder.resolve("labels.npy"))
            .fromLogits()
            .batchSize(batchSize)
            .epochs(Integer.MAX_VALUE)
            .optimizer(
                graph -> Adafactor.builder(graph).learningRate(1e-3).epsilon1(1e-16).build());
    for (String input : Files.readAllLines(folder.resolve("inputs.txt"))) {
      job.features(input, folder.resolve(input + ".npy"));
    }
    return job;
  }

  private static void run(
      FineTuning.Builder job, Variant variant, StopRequest stop, WatchingCost cost)
      throws IOException {
    if (variant.detail().isEmpty()) {
      job.build().run(stop, cost);
      return;
    }
    Path directory = Files.createTempDirectory("events");
    try (TensorBoardLog log = new TensorBoardLog(directory)) {
      job.logVariables(variant.detail().get()).build().run(stop, log, cost);
    }
    long bytes = 0;
    try (var files = Files.list(directory)) {
      for (Path file : files.toList()) {
        bytes += Files.size(file);
        Files.delete(file);
      }
    }
    Files.delete(directory);
    System.out.printf(
        "%-16s %,d bytes of events a step%n",
        variant.name(), bytes / (WARM_UP + (long) cost.rounds * cost.stepsPerRound));
  }

  private void await() {
    own.acquireUninterruptibly();
    start = ProcessHandle.current().info().totalCpuDuration().orElseThrow();
  }

  @Override
  public void stepped(Step step) {
    long measured = step.number() - WARM_UP;
    if (measured >= 0 && measured % stepsPerRound == 0) {
      if (measured > 0) {
        times.add(ProcessHandle.current().info().totalCpuDuration().orElseThrow().minus(start));
      }
      if (times.size() == rounds) {
        stop.stop();
      } else {
        next.release();
        await();
      }
    }
  }

  private static void print(List<double[]> times, int stepsPerRound) {
    System.out.printf("%-16s %16s %7s%n", "", "processor ms", "ratio");
    double[] base = times.get(0);
    for (int i = 0; i < times.size(); i++) {
      double[] own = times.get(i);
      double[] ratios = IntStream.range(0, own.length).mapToDouble(j -> own[j] / base[j]).toArray();
      System.out.printf(
          "%-16s %16.2f %7.3f%n",
          VARIANTS.get(i).name(), median(own) / stepsPerRound, median(ratios));
    }
  }

  private static double median(double[] numbers) {
    double[] sorted = Arrays.stream(numbers).sorted().toArray();
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}

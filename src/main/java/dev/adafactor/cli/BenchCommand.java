package dev.adafactor.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.JitCompile;
import dev.adafactor.Numerics;
import dev.adafactor.bench.Benchmark;
import dev.adafactor.bench.Curve;
import dev.adafactor.bench.Peer;
import dev.adafactor.bench.Report;
import dev.adafactor.bench.ReportJson;
import dev.adafactor.bench.ShapeFile;
import dev.adafactor.bench.ShapeSet;
import dev.adafactor.bench.StandardShapes;
import dev.adafactor.bench.Variant;
import dev.adafactor.bench.Workload;
import dev.adafactor.files.OutputPath;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.parity.ElementType;
import dev.adafactor.parity.VariableKind;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Times and sizes one step of the optimizer, alone or beside others. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    sortOptions = false,
    description = {
      "Time and size one step of the optimizer, alone or beside others.",
      "",
      "The gradients are in memory before a step: it is the update alone that is timed.",
      "With --mesh they lie beside the shards, and 'unsharded' is measured beside it. It goes with",
      "reference variables and numerics stable; what collective operations send is in no record."
    },
    footer = {
      "",
      "A shape file is a JSON list of shapes, [[64, 10], [10]], or of objects,",
      "{\"name\": \"embedding\", \"shape\": [1000, 64], \"rows\": 32}, where rows are those of a sparse"
          + " gradient.",
      "",
      "Examples:",
      "  java -jar target/adafactor.jar bench --shapes transformer",
      "  java -jar target/adafactor.jar bench --shapes transformer --mesh x=2,y=2",
      "  java -jar target/adafactor.jar bench --shapes big --peer python3 --peers tf_keras,c",
      "  java -jar target/adafactor.jar bench --curve parameters --peers c --chart curve.png"
    })
final class BenchCommand implements Callable<Integer> {
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private static final String ALL = "all";

  @Spec private CommandSpec spec;

  @Option(
      names = "--shapes",
      paramLabel = "small|big|transformer|embedding|conv|FILE.json",
      defaultValue = "small",
      description = {
        "The variables (default: ${DEFAULT-VALUE}).",
        "small: 8 of 1024x1024, each with a bias",
        "big: 4096x4096",
        "transformer: the 199 of BERT-base",
        "embedding: 250000x768 with a sparse gradient",
        "conv: the 161 of ResNet-50"
      })
  private String shapes;

  @Option(
      names = "--rows",
      paramLabel = "N",
      defaultValue = "4096",
      description =
          "Of the sparse gradient of 'embedding', some of them the same (default:"
              + " ${DEFAULT-VALUE}).")
  private int rows;

  @Option(
      names = "--dtype",
      paramLabel = "float32|float64|float16|bfloat16",
      defaultValue = "float32",
      converter = ConstantConverter.OfElementType.class,
      description = "Of the variables (default: ${DEFAULT-VALUE}).")
  private ElementType type;

  @Option(
      names = "--steps",
      paramLabel = "N",
      defaultValue = "5",
      description = "Of each turn (default: ${DEFAULT-VALUE}).")
  private int steps;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "10",
      description =
          "How often each has its turn; one more round, before them, warms up (default:"
              + " ${DEFAULT-VALUE}).")
  private int rounds;

  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--variables",
      paramLabel = "reference|resource",
      defaultValue = "reference",
      converter = ConstantConverter.OfVariableKind.class,
      description = "The kind of variable that is trained (default: ${DEFAULT-VALUE}).")
  private VariableKind variables;

  @Option(
      names = "--numerics",
      paramLabel = "stable|tf_keras",
      defaultValue = "stable",
      converter = ConstantConverter.OfNumerics.class,
      description = "Which operations compute the update (default: ${DEFAULT-VALUE}).")
  private Numerics numerics;

  @Option(names = "--jit-compile", description = "Have XLA compile the update.")
  private boolean jitCompile;

  @Mixin private MeshOptions devices;

  @Option(
      names = "--peer",
      paramLabel = "PYTHON",
      description =
          "Measure others beside it, in turns: this Python's tf_keras, or what --peers names.")
  private Optional<Path> python = Optional.empty();

  @Option(
      names = "--peers",
      paramLabel = "PEER",
      split = ",",
      description =
          "Whom to measure beside it, with commas between them: tf_keras, tf_keras_jit,"
              + " tf_keras_adam, optax, torch, torch_foreach, framework_adam, c, or all. Those that"
              + " cannot be had are left out.")
  private List<String> peers = List.of();

  @Option(names = "--profile", description = "Print where the time of a step goes.")
  private boolean profile;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Write all that was measured there as JSON.")
  private Optional<Path> json = Optional.empty();

  @Option(
      names = "--curve",
      paramLabel = "parameters|variables|threads",
      converter = ConstantConverter.OfCurve.class,
      description = {
        "Measure in several places, each in a process of its own:",
        "parameters: one matrix of 10^4 to 10^9 elements",
        "variables: 1 to 10,000 matrices of 32x32",
        "threads: 1 to one for each processor, with the variables of --shapes"
      })
  private Optional<Curve> curve = Optional.empty();

  @Option(
      names = "--up-to",
      paramLabel = "N",
      description = "The last place of --curve. Default: all of them, as far as memory suffices.")
  private Optional<Long> upTo = Optional.empty();

  @Option(names = "--chart", paramLabel = "FILE.png", description = "Draw --curve.")
  private Optional<Path> chart = Optional.empty();

  /** A method, since TensorFlow's threads are made when it is loaded, after options are read. */
  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "That compute. Default: one for each processor.")
  void threads(int number) {
    if (number < 1) {
      throw new ParameterException(
          spec.commandLine(), "--threads: %d is no number of threads".formatted(number));
    }
    threads = number;
    NativeEnvironment.limitThreads(number);
  }

  @Override
  public Integer call() {
    try {
      bench();
      return 0;
    } catch (IllegalArgumentException | IOException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    }
  }

  private void bench() throws IOException {
    Optional<OutputPath> file =
        json.map(path -> new OutputPath("--json", path, OutputPath.Kind.FILE));
    Optional<OutputPath> picture =
        chart.map(path -> new OutputPath("--chart", path, OutputPath.Kind.FILE));
    new Outputs(Stream.of(file, picture).flatMap(Optional::stream).toList()).require(List.of());
    PrintWriter out = spec.commandLine().getOut();
    Variant variant = variant();
    if (curve.isPresent()) {
      peers();
      BenchCurve measured =
          BenchCurve.measure(
              curve.get(), upTo.orElse(Long.MAX_VALUE), spec.commandLine().getParseResult(), out);
      Unwritten unwritten = new Unwritten();
      file.ifPresent(path -> unwritten.of(() -> measured.write(path)));
      picture.ifPresent(path -> unwritten.of(() -> CurveChart.write(measured, path)));
      unwritten.tell();
      return;
    }
    if (upTo.isPresent() || chart.isPresent()) {
      throw new IllegalArgumentException("--up-to and --chart want --curve");
    }
    Benchmark benchmark =
        new Benchmark(
            new Workload(shapeSet(), type, threads), variant, peers(), python, rounds, steps);
    if (jitCompile) {
      NativeEnvironment.loadCompiler();
    }
    Report report;
    try (BenchProgress progress = new BenchProgress(benchmark.turns(), out)) {
      report = benchmark.run(progress);
    }
    out.print(BenchText.of(report));
    if (profile) {
      out.println();
      out.print(BenchText.of(report.profile()));
    }
    out.flush();
    if (file.isPresent()) {
      WholeFile.write(
          file.get(), stream -> stream.write(JSON.writeValueAsBytes(ReportJson.of(report))));
    }
  }

  private Variant variant() {
    Reductions reductions = devices.reductions().orElse(Reductions.ADD_N);
    Optional<Mesh> mesh = devices.meshOfShards();
    try {
      return new Variant(
          variables, numerics, jitCompile ? JitCompile.ALWAYS : JitCompile.OFF, mesh, reductions);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("--mesh: " + e.getMessage(), e);
    }
  }

  private ShapeSet shapeSet() throws IOException {
    for (StandardShapes known : StandardShapes.values()) {
      if (known.name().toLowerCase(Locale.ROOT).equals(shapes)) {
        return known.shapes(rows);
      }
    }
    Path file = Path.of(shapes);
    if (!Files.isRegularFile(file)) {
      throw new IllegalArgumentException(
          "--shapes: '%s' is neither a file nor one of %s"
              .formatted(
                  shapes,
                  Arrays.stream(StandardShapes.values())
                      .map(known -> known.name().toLowerCase(Locale.ROOT))
                      .collect(Collectors.joining(", "))));
    }
    return ShapeFile.read(file);
  }

  private List<Peer> peers() {
    Set<Peer> chosen = new LinkedHashSet<>();
    if (devices.mesh().isPresent()) {
      chosen.add(Peer.UNSHARDED);
    }
    if (peers.isEmpty() && python.isPresent()) {
      chosen.add(Peer.TF_KERAS);
    }
    for (String name : peers) {
      chosen.addAll(name.equals(ALL) ? others() : List.of(peer(name)));
    }
    return List.copyOf(chosen);
  }

  /** All but ourselves. */
  private static List<Peer> others() {
    return Stream.of(Peer.values()).filter(peer -> peer != Peer.UNSHARDED).toList();
  }

  private Peer peer(String name) {
    Peer peer =
        Arrays.stream(Peer.values())
            .filter(each -> each.label().equals(name.replace('-', '_')))
            .findFirst()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "--peers: '%s' is none of %s, %s"
                            .formatted(
                                name,
                                Arrays.stream(Peer.values())
                                    .map(Peer::label)
                                    .collect(Collectors.joining(", ")),
                                ALL)));
    if (peer == Peer.UNSHARDED && devices.mesh().isEmpty()) {
      throw new IllegalArgumentException("--peers: 'unsharded' wants --mesh");
    }
    if (peer.needsPython() && python.isEmpty()) {
      throw new IllegalArgumentException(
          "--peers: '%s' wants --peer PYTHON, one that has its package".formatted(name));
    }
    return peer;
  }
}

package dev.adafactor.cli;

import dev.adafactor.Adafactor;
import dev.adafactor.JitCompile;
import dev.adafactor.Numerics;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.schedules.ScheduleRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.function.Consumer;
import java.util.function.Function;
import org.tensorflow.Graph;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** One option for each argument of the optimizer. What is not given has tf_keras's default. */
final class AdafactorOptions {
  @Option(
      names = "--optimizer",
      paramLabel = "FILE.json",
      description =
          "A tf_keras configuration of Adafactor, as get_config() or serialize() gives it; the"
              + " options below change it. A schedule of your own in it needs a ScheduleProvider"
              + " on the class path.")
  private Optional<Path> configuration = Optional.empty();

  @Option(
      names = "--learning-rate",
      paramLabel = "NUMBER",
      description = "Default 0.001. Schedules: see --optimizer.")
  private Optional<Double> learningRate = Optional.empty();

  @Option(names = "--beta-2-decay", paramLabel = "NUMBER", description = "Default -0.8.")
  private Optional<Double> beta2Decay = Optional.empty();

  @Option(names = "--epsilon-1", paramLabel = "NUMBER", description = "Default 1e-30.")
  private Optional<Double> epsilon1 = Optional.empty();

  @Option(names = "--epsilon-2", paramLabel = "NUMBER", description = "Default 0.001.")
  private Optional<Double> epsilon2 = Optional.empty();

  @Option(names = "--clip-threshold", paramLabel = "NUMBER", description = "Default 1.")
  private Optional<Double> clipThreshold = Optional.empty();

  @Option(
      names = "--relative-step",
      negatable = true,
      description = "Changes nothing, as in tf_keras.")
  private Optional<Boolean> relativeStep = Optional.empty();

  @Option(names = "--weight-decay", paramLabel = "NUMBER", description = "Default: none.")
  private Optional<Double> weightDecay = Optional.empty();

  @Option(
      names = "--exclude-from-weight-decay",
      paramLabel = "REGEX",
      description = "Variables whose name it is found in do not decay. Repeatable.")
  private List<String> excludeFromWeightDecay = List.of();

  @Option(
      names = "--clipnorm",
      paramLabel = "NUMBER",
      description = "Greatest norm of the gradient of a variable.")
  private Optional<Double> clipnorm = Optional.empty();

  @Option(
      names = "--clipvalue",
      paramLabel = "NUMBER",
      description = "Greatest magnitude of an element of a gradient.")
  private Optional<Double> clipvalue = Optional.empty();

  @Option(
      names = "--global-clipnorm",
      paramLabel = "NUMBER",
      description = "Greatest norm of all gradients together.")
  private Optional<Double> globalClipnorm = Optional.empty();

  @Option(
      names = "--use-ema",
      negatable = true,
      description = "Keep moving averages of the variables, and end with those.")
  private Optional<Boolean> useEma = Optional.empty();

  @Option(names = "--ema-momentum", paramLabel = "NUMBER", description = "Default 0.99.")
  private Optional<Double> emaMomentum = Optional.empty();

  @Option(
      names = "--ema-overwrite-frequency",
      paramLabel = "STEPS",
      description = "Overwrite the variables by their averages that often.")
  private Optional<Integer> emaOverwriteFrequency = Optional.empty();

  @Option(
      names = "--jit-compile",
      paramLabel = "true|false|always",
      arity = "0..1",
      fallbackValue = "true",
      converter = JitCompileConverter.class,
      description = "Compile the update by XLA: true: where there is a GPU, as tf_keras does.")
  private Optional<JitCompile> jitCompile = Optional.empty();

  @Option(names = "--name", description = "Name of the optimizer. Default Adafactor.")
  private Optional<String> name = Optional.empty();

  @Option(
      names = "--numerics",
      paramLabel = "stable|tf_keras",
      converter = ConstantConverter.OfNumerics.class,
      description =
          "stable: finite wherever the mathematics is, the default. tf_keras: its very operations,"
              + " its NaN included.")
  private Optional<Numerics> numerics = Optional.empty();

  @Option(
      names = "--transient-bytes",
      paramLabel = "BYTES",
      description =
          "About the most that the temporary tensors of an update may take together: memory"
              + " against speed. Default 16777216, 16 MiB.")
  private Optional<Long> transientBytes = Optional.empty();

  /** The file of {@code --optimizer}. */
  Optional<Path> configuration() {
    return configuration;
  }

  /** Whether the update is to be compiled, on one machine or another. */
  boolean asksForCompilation() {
    return jitCompile.isPresent() && jitCompile.get() != JitCompile.OFF;
  }

  private static ScheduleRegistry schedules() {
    try {
      return ScheduleRegistry.installed();
    } catch (ServiceConfigurationError e) {
      throw new IllegalArgumentException(
          "--optimizer: a provider of schedules on the class path cannot be used: "
              + e.getMessage(),
          e);
    }
  }

  /**
   * What makes the optimizer that the options describe.
   *
   * @param devices that compute
   * @throws IOException if the configuration cannot be read
   */
  Function<Graph, Adafactor> optimizer(DeviceOptions devices) throws IOException {
    Optional<Mesh> mesh = devices.mesh();
    Optional<Reductions> reductions = devices.reductions();
    numerics.ifPresent(devices::requireFor);
    mesh.filter(Layout::cutsMatrices).ifPresent(this::requireFor);
    if (configuration.isEmpty()) {
      return graph -> with(Adafactor.builder(graph), mesh, reductions);
    }
    ConfigurationFile file = new ConfigurationFile("--optimizer", configuration.get());
    String json = file.json();
    ScheduleRegistry schedules = schedules();
    return graph -> {
      try {
        return with(Adafactor.fromConfig(graph, json, schedules), mesh, reductions);
      } catch (IllegalArgumentException e) {
        throw file.failure(e);
      }
    };
  }

  /** What the library says of a shard, said before it is made. */
  private void requireFor(Mesh shards) {
    if (jitCompile.equals(Optional.of(JitCompile.ALWAYS))) {
      throw new IllegalArgumentException(
          ("--mesh %s goes with --jit-compile true or false: an update in shards is of"
                  + " several devices, and XLA compiles for one")
              .formatted(shards));
    }
  }

  private Adafactor with(
      Adafactor.Builder builder, Optional<Mesh> mesh, Optional<Reductions> reductions) {
    mesh.ifPresent(builder::mesh);
    reductions.ifPresent(builder::reductions);
    learningRate.ifPresent((Consumer<Double>) builder::learningRate);
    beta2Decay.ifPresent(builder::beta2Decay);
    epsilon1.ifPresent(builder::epsilon1);
    epsilon2.ifPresent(builder::epsilon2);
    clipThreshold.ifPresent(builder::clipThreshold);
    relativeStep.ifPresent(builder::relativeStep);
    weightDecay.ifPresent(builder::weightDecay);
    if (!excludeFromWeightDecay.isEmpty()) {
      builder.excludeFromWeightDecay(excludeFromWeightDecay.toArray(String[]::new));
    }
    clipnorm.ifPresent(builder::clipnorm);
    clipvalue.ifPresent(builder::clipvalue);
    globalClipnorm.ifPresent(builder::globalClipnorm);
    useEma.ifPresent(builder::useEma);
    emaMomentum.ifPresent(builder::emaMomentum);
    emaOverwriteFrequency.ifPresent(builder::emaOverwriteFrequency);
    jitCompile.ifPresent((Consumer<JitCompile>) builder::jitCompile);
    name.ifPresent(builder::name);
    numerics.ifPresent(builder::numerics);
    transientBytes.ifPresent(builder::transientBytes);
    return builder.build();
  }

  static final class JitCompileConverter implements ITypeConverter<JitCompile> {
    @Override
    public JitCompile convert(String value) {
      return switch (value.toLowerCase(Locale.ROOT)) {
        case "true" -> JitCompile.WHERE_GPU;
        case "false" -> JitCompile.OFF;
        case "always" -> JitCompile.ALWAYS;
        default ->
            throw new TypeConversionException(
                "'%s' is none of true, false, always".formatted(value));
      };
    }
  }
}

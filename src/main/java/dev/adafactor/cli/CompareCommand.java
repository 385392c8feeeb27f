package dev.adafactor.cli;

import dev.adafactor.Adafactor;
import dev.adafactor.Numerics;
import dev.adafactor.files.OutputPath;
import dev.adafactor.mesh.ClusterException;
import dev.adafactor.mesh.ClusterSession;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.parity.Case;
import dev.adafactor.parity.CaseFile;
import dev.adafactor.parity.ComparedRun;
import dev.adafactor.parity.Comparison;
import dev.adafactor.parity.Holding;
import dev.adafactor.parity.Host;
import dev.adafactor.parity.OnMesh;
import dev.adafactor.parity.Recording;
import dev.adafactor.parity.Replay;
import dev.adafactor.parity.Replayed;
import dev.adafactor.parity.Requirement;
import dev.adafactor.parity.Results;
import dev.adafactor.parity.VariableKind;
import dev.adafactor.parity.Verdict;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;
import me.tongfei.progressbar.ProgressBar;
import org.tensorflow.TensorFlow;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Replays case files and says how far the results are from what tf_keras recorded. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    sortOptions = false,
    description = {
      "Replay what tf_keras's Adafactor did, and compare.",
      "",
      "A case file holds variables, gradients and what tf_keras made of them, step by step."
    },
    footer = {
      "",
      "Exit codes: 0 all cases are as they should be (tf_keras: bit-equal on x86-64; stable: within"
          + " 8 ulp of the variable's largest magnitude for each step); 1 some are not; 2 bad"
          + " input, or a process of --cluster is lost.",
      "",
      "Examples:",
      "  java -jar target/adafactor.jar compare --cases cases.json --numerics tf_keras",
      "  java -jar target/adafactor.jar compare --cases cases.json --mesh x=2,y=2",
      "  java -jar target/adafactor.jar compare --cases cases.json --mesh x=2",
      "    --cluster worker=HOST:PORT,HOST:PORT",
      "  java -jar target/adafactor.jar compare --python python3 --shapes 64x10,10",
      "    --report page.html"
    })
final class CompareCommand implements Callable<Integer> {
  /** A field, since the level of a logger that nobody holds is forgotten. */
  private static final Logger OPTIMIZER_LOG = Logger.getLogger(Adafactor.class.getName());

  @Spec private CommandSpec spec;

  @Option(
      names = "--cases",
      paramLabel = "FILE",
      description = "A case file, .json or .json.gz. May be given several times.")
  private List<Path> files = List.of();

  @Mixin private RecordingOptions recording;

  @Option(
      names = "--numerics",
      paramLabel = "stable|tf_keras",
      defaultValue = "stable",
      converter = ConstantConverter.OfNumerics.class,
      description =
          "Which operations compute the update (default: ${DEFAULT-VALUE}, the only one for --mesh).")
  private Numerics numerics;

  @Option(
      names = "--variables",
      paramLabel = "reference|resource",
      defaultValue = "reference",
      converter = ConstantConverter.OfVariableKind.class,
      description =
          "The kind of variable that is trained (default: ${DEFAULT-VALUE}, the only one for"
              + " --mesh).")
  private VariableKind variables;

  @Mixin private DeviceOptions devices;

  @Option(
      names = "--results",
      paramLabel = "FILE",
      description = "Write what was computed, in the structure of a case file.")
  private Optional<Path> results = Optional.empty();

  @Option(
      names = "--report",
      paramLabel = "FILE.html",
      description =
          "Write a page for a browser: verdict, worst differences, and plots of each case. It needs"
              + " nothing from elsewhere.")
  private Optional<Path> report = Optional.empty();

  @Override
  public Integer call() {
    Level level = OPTIMIZER_LOG.getLevel();
    // A case says itself which gradients are missing: no need to be warned of them.
    OPTIMIZER_LOG.setLevel(Level.SEVERE);
    try {
      return compare();
    } catch (IOException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), DeviceOptions.named(e).getMessage(), e);
    } catch (ClusterException e) {
      throw new ParameterException(spec.commandLine(), DeviceOptions.lost(e), e);
    } finally {
      OPTIMIZER_LOG.setLevel(level);
    }
  }

  private int compare() throws IOException {
    if (files.isEmpty() == !recording.isAsked()) {
      throw new IllegalArgumentException(
          "either --cases FILE, what was recorded before, or --python PYTHON, to record now");
    }
    recording.check();
    Optional<Reductions> reductions = devices.reductions();
    Holding holding =
        devices
            .meshOfShards()
            .<Holding>map(mesh -> onMesh(mesh, reductions.orElse(Reductions.ADD_N)))
            .orElse(variables);
    Host host = host();
    outputs().require(inputs());
    host.requireUsable();
    List<Recording> recordings = recordings();
    PrintWriter out = spec.commandLine().getOut();
    Requirement requirement = Requirement.of(numerics, System.getProperty("os.arch"));
    Replay replay = new Replay(numerics, holding, host);
    Comparison comparison = new Comparison(requirement);
    List<Replayed> kept = new ArrayList<>();
    List<ComparedRun> runs = new ArrayList<>();
    for (Case input : withProgress(recordings)) {
      Replayed replayed = replay.replay(input);
      Optional<Verdict> verdict = comparison.add(replayed);
      results.ifPresent(file -> kept.add(replayed));
      report.ifPresent(file -> runs.add(ComparedRun.of(replayed, verdict)));
    }
    out.printf(
        "%d cases, numerics %s, %s variables%s, TensorFlow %s%n%n",
        comparison.cases(),
        ConstantConverter.label(numerics),
        ConstantConverter.label(variables),
        place(),
        TensorFlow.version());
    ComparisonText.print(comparison, out);
    out.flush();
    Unwritten unwritten = new Unwritten();
    resultsFile()
        .ifPresent(
            file ->
                unwritten.of(
                    () -> WholeFile.write(file, stream -> Results.write(stream, meta(), kept))));
    reportFile()
        .ifPresent(
            file ->
                unwritten.of(
                    () ->
                        WholeFile.write(
                            file,
                            new ReportPage(
                                    "case", facts(recordings), expectation(requirement), runs)
                                ::writeTo)));
    unwritten.tell();
    return comparison.isGood() ? 0 : 1;
  }

  private OnMesh onMesh(Mesh mesh, Reductions reductions) {
    devices.requireFor(numerics);
    if (variables != VariableKind.REFERENCE) {
      throw new IllegalArgumentException(
          "--mesh goes with --variables reference alone: shards are reference variables");
    }
    return new OnMesh(mesh, reductions);
  }

  private Host host() {
    Duration timeout = devices.operationTimeout().orElse(ClusterSession.DEFAULT_TIMEOUT);
    return devices
        .cluster()
        .<Host>map(cluster -> new Host.Processes(cluster, timeout))
        .orElseGet(Host.ThisProcess::new);
  }

  /** Where it was computed, if that is to be said. */
  private String place() {
    String mesh = devices.mesh().map(each -> " on a mesh of " + each).orElse("");
    return mesh
        + devices
            .cluster()
            .map(each -> " over %d processes".formatted(each.tasks().size()))
            .orElse("");
  }

  private List<Recording> recordings() throws IOException {
    if (recording.isAsked()) {
      return List.of(recording.record());
    }
    List<Recording> recordings = new ArrayList<>();
    for (Path file : files) {
      if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
        throw new IllegalArgumentException("--cases: '" + file + "' is no file that can be read");
      }
      recordings.add(CaseFile.read(file));
    }
    return recordings;
  }

  private List<Outputs.Input> inputs() {
    List<Outputs.Input> inputs = new ArrayList<>(recording.inputs());
    files.forEach(file -> inputs.add(new Outputs.Input("--cases", file)));
    return inputs;
  }

  private Outputs outputs() {
    return new Outputs(
        Stream.of(recording.savedFile(), resultsFile(), reportFile())
            .flatMap(Optional::stream)
            .toList());
  }

  private Optional<OutputPath> resultsFile() {
    return results.map(path -> new OutputPath("--results", path, OutputPath.Kind.FILE));
  }

  private Optional<OutputPath> reportFile() {
    return report.map(path -> new OutputPath("--report", path, OutputPath.Kind.FILE));
  }

  private static Iterable<Case> withProgress(List<Recording> recordings) {
    List<Case> cases = recordings.stream().flatMap(each -> each.cases().stream()).toList();
    return CommandLine.Help.Ansi.AUTO.enabled() ? ProgressBar.wrap(cases, "compare") : cases;
  }

  private Map<String, String> meta() {
    Map<String, String> meta = Versions.ofJava();
    meta.putAll(settings());
    return meta;
  }

  private Map<String, String> settings() {
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("numerics", ConstantConverter.label(numerics));
    settings.put("variables", ConstantConverter.label(variables));
    devices.mesh().ifPresent(mesh -> settings.put("mesh", mesh.toString()));
    devices.reductions().ifPresent(way -> settings.put("reductions", ConstantConverter.label(way)));
    devices.cluster().ifPresent(cluster -> settings.put("cluster", cluster.toString()));
    return settings;
  }

  private static ReportPage.Expectation expectation(Requirement requirement) {
    return switch (requirement) {
      case SAME_BITS ->
          new ReportPage.Expectation("the very bits of tf_keras", OptionalDouble.empty());
      case WITHIN_ROUNDING ->
          new ReportPage.Expectation(
              ("at most %.0f ulp of the tensor's largest magnitude for each step, where tf_keras is"
                      + " finite")
                  .formatted(requirement.mostScaleUlps()),
              OptionalDouble.of(requirement.mostScaleUlps()));
    };
  }

  /** With what it was recorded, by each set of versions once, and with what it was replayed. */
  private List<ReportPage.Facts> facts(List<Recording> recordings) {
    List<ReportPage.Facts> facts = new ArrayList<>();
    recordings.stream()
        .map(Recording::versions)
        .distinct()
        .forEach(versions -> facts.add(new ReportPage.Facts("Recorded with Python", versions)));
    facts.add(new ReportPage.Facts("Replayed with Java", Versions.ofJava()));
    facts.add(new ReportPage.Facts("Replayed as", settings()));
    return facts;
  }
}

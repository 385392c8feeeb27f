package dev.adafactor.cli;

import dev.adafactor.Adafactor;
import dev.adafactor.Numerics;
import dev.adafactor.files.OutputPath;
import dev.adafactor.parity.Case;
import dev.adafactor.parity.CaseFile;
import dev.adafactor.parity.Comparison;
import dev.adafactor.parity.Replay;
import dev.adafactor.parity.Replayed;
import dev.adafactor.parity.Requirement;
import dev.adafactor.parity.Results;
import dev.adafactor.parity.VariableKind;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.logging.Level;
import java.util.logging.Logger;
import me.tongfei.progressbar.ProgressBar;
import org.tensorflow.TensorFlow;
import picocli.CommandLine;
import picocli.CommandLine.Command;
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
          + " input.",
      "",
      "Example:",
      "  java -jar target/adafactor.jar compare --cases cases.json --numerics tf_keras"
    })
final class CompareCommand implements Callable<Integer> {
  private static final int MOST_REMARKS = 20;
  private static final int LINE_WIDTH = 100;

  /** A field, since the level of a logger that nobody holds is forgotten. */
  private static final Logger OPTIMIZER_LOG = Logger.getLogger(Adafactor.class.getName());

  @Spec private CommandSpec spec;

  @Option(
      names = "--cases",
      required = true,
      paramLabel = "FILE",
      description = "A case file, .json or .json.gz. May be given several times.")
  private List<Path> files;

  @Option(
      names = "--numerics",
      paramLabel = "stable|tf_keras",
      defaultValue = "stable",
      converter = ConstantConverter.OfNumerics.class,
      description = "Which operations compute the update (default: ${DEFAULT-VALUE}).")
  private Numerics numerics;

  @Option(
      names = "--variables",
      paramLabel = "reference|resource",
      defaultValue = "reference",
      converter = ConstantConverter.OfVariableKind.class,
      description = "The kind of variable that is trained (default: ${DEFAULT-VALUE}).")
  private VariableKind variables;

  @Option(
      names = "--results",
      paramLabel = "FILE",
      description = "Write what was computed, in the structure of a case file.")
  private Optional<Path> results;

  @Override
  public Integer call() {
    try {
      return compare();
    } catch (IllegalArgumentException | IOException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    }
  }

  private int compare() throws IOException {
    if (results.isPresent()) {
      new Outputs(List.of(resultsFile(results.get())))
          .require(files.stream().map(file -> new Outputs.Input("--cases", file)).toList());
    }
    List<Case> cases = new ArrayList<>();
    for (Path file : files) {
      if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
        throw new IllegalArgumentException("--cases: '" + file + "' is no file that can be read");
      }
      cases.addAll(CaseFile.read(file));
    }
    // A case says itself which gradients are missing: no need to be warned of them.
    OPTIMIZER_LOG.setLevel(Level.SEVERE);
    Replay replay = new Replay(numerics, variables);
    Comparison comparison = new Comparison(Requirement.of(numerics, System.getProperty("os.arch")));
    List<Replayed> kept = new ArrayList<>();
    for (Case input : withProgress(cases)) {
      Replayed replayed = replay.replay(input);
      comparison.add(replayed);
      results.ifPresent(file -> kept.add(replayed));
    }
    print(comparison);
    if (results.isPresent()) {
      WholeFile.write(resultsFile(results.get()), out -> Results.write(out, meta(), kept));
    }
    return comparison.isGood() ? 0 : 1;
  }

  private static OutputPath resultsFile(Path path) {
    return new OutputPath("--results", path, OutputPath.Kind.FILE);
  }

  private static Iterable<Case> withProgress(List<Case> cases) {
    return CommandLine.Help.Ansi.AUTO.enabled() ? ProgressBar.wrap(cases, "compare") : cases;
  }

  private Map<String, String> meta() {
    String version = CompareCommand.class.getPackage().getImplementationVersion();
    Map<String, String> meta = new LinkedHashMap<>();
    meta.put("tf", TensorFlow.version());
    meta.put("adafactor", version == null ? "development" : version);
    meta.put("java", System.getProperty("java.version"));
    meta.put("platform", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    meta.put("numerics", ConstantConverter.label(numerics));
    meta.put("variables", ConstantConverter.label(variables));
    return meta;
  }

  private void print(Comparison comparison) {
    PrintWriter out = spec.commandLine().getOut();
    out.printf(
        "%d cases, numerics %s, %s variables, TensorFlow %s%n%n",
        comparison.cases(),
        ConstantConverter.label(numerics),
        ConstantConverter.label(variables),
        TensorFlow.version());
    if (!comparison.tallies().isEmpty()) {
      out.print(DifferenceTable.of(comparison.tallies()));
      out.println();
    }
    out.printf(
        "%d of %d cases are bit-equal to tf_keras%n",
        comparison.bitEqual(), comparison.cases() - comparison.unrecorded().size());
    remarks(out, "not bit-equal; the first difference", comparison.different());
    remarks(out, "beyond what is allowed; the first such difference", comparison.failures());
    remarks(out, "could not run", comparison.errors());
    if (!comparison.unrecorded().isEmpty()) {
      out.printf("%d cases record nothing to compare with%n", comparison.unrecorded().size());
    }
    out.println(comparison.isGood() ? "all is as it should be" : "NOT as it should be");
    out.flush();
  }

  private static void remarks(PrintWriter out, String what, List<Comparison.Remark> remarks) {
    if (remarks.isEmpty()) {
      return;
    }
    out.printf("%n%d %s:%n", remarks.size(), what);
    remarks.stream()
        .limit(MOST_REMARKS)
        .forEach(remark -> out.printf("  %s: %s%n", remark.id(), remark.text()));
    if (remarks.size() > MOST_REMARKS) {
      out.println("  and");
      StringBuilder line = new StringBuilder();
      for (Comparison.Remark remark : remarks.subList(MOST_REMARKS, remarks.size())) {
        if (line.length() + remark.id().length() > LINE_WIDTH) {
          out.println(line);
          line.setLength(0);
        }
        line.append("  ").append(remark.id());
      }
      out.println(line);
    }
    out.println();
  }
}

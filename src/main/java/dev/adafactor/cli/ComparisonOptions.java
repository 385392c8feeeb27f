package dev.adafactor.cli;

import dev.adafactor.files.OutputPath;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Option;

/** With which Python a job is compared. */
final class ComparisonOptions {

  @Option(
      names = "--compare-with",
      paramLabel = "PYTHON",
      description =
          "Have that Python's tf_keras do the same job afterwards, and compare losses, variables"
              + " and the optimizer's state. Exit code 1 where they part by more than rounding.")
  Optional<Path> python = Optional.empty();

  @Option(
      names = "--compare-report",
      paramLabel = "FILE.html",
      description = "Show the comparison on a page for a browser.")
  Optional<Path> report = Optional.empty();

  Optional<OutputPath> reportFile() {
    return report.map(path -> new OutputPath("--compare-report", path, OutputPath.Kind.FILE));
  }
}

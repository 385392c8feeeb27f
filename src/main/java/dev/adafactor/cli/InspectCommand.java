package dev.adafactor.cli;

import dev.adafactor.files.OutputPath;
import dev.adafactor.savedmodel.ModelDescription;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code inspect}: what there is to know about a SavedModel before it is trained. */
@Command(
    name = "inspect",
    description = {
      "Says what can be trained in a SavedModel, and how.",
      "Its variables are listed, their values not read."
    },
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    sortOptions = false,
    footer = {"", "Example:", "  java -jar target/adafactor.jar inspect savedmodels/digits"})
final class InspectCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "MODEL_DIR",
      arity = "0..1",
      description = "The SavedModel; only read. The same as --model.")
  private Optional<Path> folder = Optional.empty();

  @Option(names = "--model", paramLabel = "DIR", description = "The SavedModel; only read.")
  private Optional<Path> model = Optional.empty();

  @Option(
      names = "--signature",
      paramLabel = "NAME",
      description = "Tell of this one alone. Default: of all.")
  private Optional<String> signature = Optional.empty();

  @Option(names = "--all", description = "Shorten no list.")
  private boolean all;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the same there, unshortened.")
  private Optional<Path> json = Optional.empty();

  @Override
  public Integer call() throws IOException {
    Path path = path();
    Optional<OutputPath> file =
        json.map(target -> new OutputPath("--json", target, OutputPath.Kind.FILE));
    new Outputs(file.stream().toList()).require(List.of(new Outputs.Input("the model", path)));
    ModelDescription description = ModelDescription.of(path);
    List<ModelDescription.Signature> shown =
        signature
            .map(name -> List.of(description.signature(name)))
            .orElse(description.signatures());
    PrintWriter out = spec.commandLine().getOut();
    // Text that goes into a file or another program keeps its names whole.
    int width =
        NativeEnvironment.isTerminal() ? spec.commandLine().getUsageHelpWidth() : Integer.MAX_VALUE;
    out.print(new ModelReport(description, shown, width, all).text());
    out.flush();
    if (file.isPresent()) {
      ModelJson.write(description, shown, file.get());
      out.println("JSON: " + file.get().path());
      out.flush();
    }
    return ExitCode.OK;
  }

  private Path path() {
    if (folder.isPresent() == model.isPresent()) {
      throw new ParameterException(
          spec.commandLine(),
          folder.isPresent()
              ? "the model is given twice: MODEL_DIR and --model are the same"
              : "which model? MODEL_DIR is missing: a folder with a saved_model.pb");
    }
    return folder.or(() -> model).orElseThrow();
  }
}

package dev.adafactor.cli;

import dev.adafactor.graph.ErrorLine;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Locale;
import org.bytedeco.javacpp.Loader;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExecutionException;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.OverwrittenOptionException;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.RunLast;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/**
 * The program. Exit codes: 0 done; 1 the job ran and its result is bad, or a process of its cluster
 * is lost; 2 the input is bad, said in one line; 130 the job was interrupted, 143 by SIGTERM.
 */
@Command(
    name = "adafactor",
    description = "Trains with tf_keras's Adafactor optimizer in TensorFlow Java.",
    subcommands = {
      FineTuneCommand.class,
      InspectCommand.class,
      CompareCommand.class,
      BenchCommand.class,
      WorkerCommand.class
    },
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    footer = {
      "",
      "Without a command: fine-tunes the bundled model, as 'fine-tune' does without options.",
      "'COMMAND --help' explains a command and has an example.",
      "Exit codes: 0 done; 1 the result is bad, or a process of --cluster is lost;",
      "2 the input is bad; 130 interrupted, 143 by SIGTERM."
    })
public final class Main implements Runnable {
  @Spec private CommandSpec spec;

  @Option(
      names = "--stacktrace",
      scope = ScopeType.INHERIT,
      description = "Show where in the program an error was found.")
  private boolean stacktrace;

  private Main() {}

  /** Runs a command, and ends the process where its exit code is not 0. */
  public static void main(String[] arguments) {
    // Numbers read the same everywhere, by people and by programs.
    Locale.setDefault(Locale.Category.FORMAT, Locale.ROOT);
    OneLineLog.install();
    NativeEnvironment.prepare();
    AtExit.onSignals();
    int exitCode =
        commandLine().execute(arguments.length == 0 ? new String[] {"fine-tune"} : arguments);
    if (exitCode != ExitCode.OK) {
      System.exit(exitCode);
    }
  }

  /** The parser of all commands, set up to say what is wrong in one line. */
  static CommandLine commandLine() {
    Main main = new Main();
    CommandLine commandLine = new CommandLine(main);
    return commandLine
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setUsageHelpAutoWidth(true)
        .registerConverter(Path.class, new PathConverter())
        .registerConverter(Double.class, Main::number)
        .registerConverter(double.class, Main::number)
        .setExecutionStrategy(Main::execute)
        .setParameterExceptionHandler(
            (e, arguments) -> main.report(e.getCommandLine(), e, ExitCode.USAGE))
        .setExecutionExceptionHandler((e, command, parsed) -> main.report(command, e, exitCode(e)));
  }

  private static double number(String text) {
    try {
      return Double.parseDouble(text);
    } catch (NumberFormatException e) {
      throw new TypeConversionException("'%s' is no number, such as 0.01 or 1e-3".formatted(text));
    }
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "which command?");
  }

  private static int execute(ParseResult parsed) {
    Integer help = CommandLine.executeHelpRequest(parsed);
    if (help != null) {
      return help;
    }
    refuseRepeated(parsed);
    try {
      NativeEnvironment.loadTensorFlow();
    } catch (LinkageError e) {
      throw new ExecutionException(parsed.commandSpec().commandLine(), unloadable(e), e);
    }
    try {
      return new RunLast().execute(parsed);
    } catch (OutOfMemoryError e) {
      throw new ExecutionException(
          parsed.commandSpec().commandLine(),
          "Java's memory does not suffice (%s); -Xmx gives it more".formatted(e.getMessage()),
          e);
    }
  }

  /**
   * picocli refuses a repeated option by itself, but not in a group: it begins the group anew
   * there, and forgets what the group's other options were given.
   */
  private static void refuseRepeated(ParseResult parsed) {
    ParseResult command = parsed;
    while (command.subcommand() != null) {
      command = command.subcommand();
    }
    for (OptionSpec option : command.matchedOptions()) {
      if (!option.isMultiValue() && option.stringValues().size() > 1) {
        throw new OverwrittenOptionException(
            command.commandSpec().commandLine(),
            option,
            "%s is given %d times; once is wanted"
                .formatted(String.join(" or ", option.names()), option.stringValues().size()));
      }
    }
  }

  private static String unloadable(LinkageError e) {
    return ("TensorFlow's native library does not load (%s); the artifact"
            + " org.tensorflow:tensorflow-core-native with the classifier %s belongs on the class"
            + " path")
        .formatted(String.valueOf(e.getMessage()).replaceFirst(": .*", ""), Loader.getPlatform());
  }

  private static int exitCode(Exception e) {
    boolean badInput =
        (e instanceof IllegalArgumentException && !(e instanceof TFInvalidArgumentException))
            || e instanceof IOException
            || e instanceof UncheckedIOException
            || e instanceof ParameterException;
    return badInput ? ExitCode.USAGE : ExitCode.SOFTWARE;
  }

  private int report(CommandLine command, Exception e, int exitCode) {
    PrintWriter err = command.getErr();
    if (stacktrace) {
      e.printStackTrace(err);
    } else {
      err.println(
          "%s: %s"
              .formatted(command.getCommandSpec().qualifiedName(), Printable.of(ErrorLine.of(e))));
    }
    err.flush();
    return exitCode;
  }

  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {"adafactor " + (version == null ? "(not packaged)" : version)};
    }
  }
}

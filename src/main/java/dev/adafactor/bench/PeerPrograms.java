package dev.adafactor.bench;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** The programs of peers, in a temporary folder where they can be run. It goes with the process. */
final class PeerPrograms {
  private static final String SCRIPT = "peers.py";
  private static final String FLOOR = "floor.c";

  private final Optional<Path> python;
  private final Path folder;
  private int logs;

  /**
   * @param python the interpreter, a path or a name that is on the search path
   */
  PeerPrograms(Optional<Path> python) throws IOException {
    this.python = python;
    folder = Files.createTempDirectory("adafactor-bench-");
    folder.toFile().deleteOnExit();
  }

  /** A peer that the Python script knows. */
  Contender python(String peer, Workload workload) throws IOException {
    String interpreter =
        python.orElseThrow(() -> new IOException("no Python is given for it")).toString();
    return start(List.of(interpreter, unpacked(SCRIPT).toString(), peer), workload);
  }

  /** The program in C, compiled now. */
  Contender floor(Workload workload) throws IOException {
    Path program = file("floor");
    Path log = log();
    List<String> command =
        List.of(
            "cc",
            "-O3",
            "-march=native",
            "-fopenmp",
            unpacked(FLOOR).toString(),
            "-o",
            program.toString(),
            "-lm");
    Process compiler;
    try {
      compiler =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
    } catch (IOException e) {
      throw new IOException("there is no C compiler, cc", e);
    }
    try {
      if (compiler.waitFor() != 0) {
        throw new IOException(
            "cc does not compile it: "
                + new String(Files.readAllBytes(log), StandardCharsets.UTF_8)
                    .lines()
                    .findFirst()
                    .orElse("it does not say why"));
      }
    } catch (InterruptedException e) {
      compiler.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
    return start(List.of(program.toString()), workload);
  }

  private Contender start(List<String> command, Workload workload) throws IOException {
    return new ChildContender(command, log(), workload);
  }

  private Path unpacked(String name) throws IOException {
    Path file = file(name);
    if (Files.notExists(file)) {
      try (InputStream in = PeerPrograms.class.getResourceAsStream("peers/" + name)) {
        Files.copy(in, file);
      }
    }
    return file;
  }

  private Path log() {
    return file("log_" + logs++ + ".txt");
  }

  private Path file(String name) {
    Path file = folder.resolve(name);
    file.toFile().deleteOnExit();
    return file;
  }
}

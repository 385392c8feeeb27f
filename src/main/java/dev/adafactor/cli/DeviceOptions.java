package dev.adafactor.cli;

import dev.adafactor.mesh.Mesh;
import java.util.Optional;
import picocli.CommandLine.Option;

/** What the optimizer computes on. */
final class DeviceOptions {

  @Option(
      names = "--mesh",
      paramLabel = "x=N,y=M",
      description =
          "Spread the variables that are trained, and the optimizer's state, over as many virtual"
              + " CPU devices: the last but one axis over x, the last over y, the only one over x,"
              + " wherever the size divides.")
  private Optional<String> mesh = Optional.empty();

  /**
   * The devices over which the variables are spread, if they are.
   *
   * @throws IllegalArgumentException if the options are wrong; the message names the option
   */
  Optional<Mesh> mesh() {
    try {
      return mesh.map(Mesh::virtualCpus);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("--mesh: " + e.getMessage(), e);
    }
  }
}

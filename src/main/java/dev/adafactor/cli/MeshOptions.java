package dev.adafactor.cli;

import dev.adafactor.Numerics;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reductions;
import java.util.Optional;
import java.util.function.Function;
import picocli.CommandLine.Option;

/** Over which devices variables are spread, and how sums over them are taken. */
class MeshOptions {

  @Option(
      names = "--mesh",
      paramLabel = "x=N,y=M,batch=K",
      description =
          "Use as many virtual CPU devices: spread the variables that are trained, and the"
              + " optimizer's state, over x and y: the last but one axis over x, the last over y,"
              + " the only one over x, wherever the size divides. fine-tune divides each batch over"
              + " batch.")
  private Optional<String> dimensions = Optional.empty();

  @Option(
      names = "--reductions",
      paramLabel = "add_n|collective",
      converter = ConstantConverter.OfReductions.class,
      description =
          "How sums over the shards of --mesh are taken: add_n, the default, on one device;"
              + " collective: by TensorFlow's collective operations, within one process.")
  private Optional<Reductions> reductions = Optional.empty();

  /**
   * The devices over which the variables are spread, if they are.
   *
   * @throws IllegalArgumentException if the options are wrong; the message names them
   */
  Optional<Mesh> mesh() {
    return mesh(Mesh::virtualCpus);
  }

  /**
   * The same, for what cuts variables and nothing else.
   *
   * @throws IllegalArgumentException if the options are wrong, or variables would not be cut along
   *     any dimension; the message names them
   */
  final Optional<Mesh> meshOfShards() {
    Optional<Mesh> mesh = mesh();
    mesh.filter(each -> !Layout.cutsMatrices(each))
        .ifPresent(
            each -> {
              throw new IllegalArgumentException(
                  "--mesh %s has neither x, along which rows are cut, nor y, along which columns are"
                      .formatted(each));
            });
    return mesh;
  }

  /**
   * The mesh, if there is one.
   *
   * @param made gives the mesh that has such dimensions
   * @throws IllegalArgumentException if the options are wrong; the message names them
   */
  final Optional<Mesh> mesh(Function<String, Mesh> made) {
    try {
      return dimensions.map(made);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("--mesh: " + e.getMessage(), e);
    }
  }

  /**
   * Checks that shards can be updated so.
   *
   * @throws IllegalArgumentException if variables are cut and cannot; the message names the options
   */
  final void requireFor(Numerics numerics) {
    mesh()
        .filter(each -> numerics != Numerics.STABLE && Layout.cutsMatrices(each))
        .ifPresent(
            each -> {
              throw new IllegalArgumentException(
                  ("--mesh %s goes with --numerics stable alone: shards are added up in another"
                          + " order than that of tf_keras")
                      .formatted(each));
            });
  }

  /**
   * How sums over shards are taken, if it is not the default.
   *
   * @throws IllegalArgumentException if the options are wrong; the message names them
   */
  final Optional<Reductions> reductions() {
    Optional<Mesh> mesh = mesh();
    reductions.ifPresent(way -> requireUse(way, mesh));
    return reductions;
  }

  private static void requireUse(Reductions way, Optional<Mesh> mesh) {
    if (mesh.isEmpty()) {
      throw new IllegalArgumentException("--reductions is for --mesh, which is missing");
    }
    if (!Layout.cutsMatrices(mesh.get())) {
      throw new IllegalArgumentException(
          "--reductions is for sums over shards, and --mesh %s cuts no variable: x=N and y=M do"
              .formatted(mesh.get()));
    }
    try {
      way.requireSoundOver(mesh.get());
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("--reductions: " + e.getMessage(), e);
    }
  }
}

package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Devices;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reduction;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.tensorflow.framework.constraints.Constraint;
import org.tensorflow.op.Op;

/**
 * The arguments of an optimizer, for the graph and the machine that it is on.
 *
 * @param jitCompile whether the update is compiled
 * @param constraints by the keys of their variables
 * @param rule how it is computed
 * @param reduction how sums over shards are taken
 */
record Settings(
    AdafactorConfig config,
    boolean jitCompile,
    UpdateRule rule,
    Optional<WeightDecay> weightDecay,
    Optional<MovingAverage> movingAverage,
    Map<String, Constraint> constraints,
    Optional<Mesh> mesh,
    Reduction reduction) {

  /**
   * @param undecayed the keys of variables, and the regular expressions for names, that are exempt
   *     from weight decay
   */
  static Settings of(
      AdafactorConfig config,
      Set<String> undecayed,
      List<Pattern> undecayedNames,
      Map<String, Constraint> constraints,
      Optional<Mesh> mesh,
      Reduction reduction) {
    boolean jitCompile =
        config.jitCompile() == JitCompile.ALWAYS
            || (config.jitCompile() == JitCompile.WHERE_GPU && Devices.hasGpu());
    return new Settings(
        config,
        jitCompile,
        config.numerics() == Numerics.TF_KERAS
            ? new TfKerasUpdate()
            : new StableUpdate(matrices(jitCompile)),
        config.weightDecay().isPresent()
            ? Optional.of(
                new WeightDecay(config.weightDecay().getAsDouble(), undecayed, undecayedNames))
            : Optional.empty(),
        config.useEma()
            ? Optional.of(new MovingAverage(config.emaMomentum(), config.emaOverwriteFrequency()))
            : Optional.empty(),
        Map.copyOf(constraints),
        mesh,
        reduction);
  }

  private static MatrixOperations matrices(boolean jitCompile) {
    return jitCompile || Devices.hasGpu() ? MatrixOperations.BROADCASTS : MatrixOperations.PRODUCTS;
  }

  /** Whether each variable is updated for itself, as a whole. */
  boolean updatesWholes() {
    // What is compiled is one program for each variable, and tf_keras's operations are its own.
    return jitCompile || !(rule instanceof StableUpdate);
  }

  /** How variables of one device are updated in pieces, unless {@link #updatesWholes}. */
  PiecewiseUpdateStep inPieces(Constants beside, SharedScalars scalars, Op gate) {
    return new PiecewiseUpdateStep(
        beside,
        (StableUpdate) rule,
        matrices(jitCompile),
        scalars,
        gate,
        // GPUs are slow where they are given little at a time.
        Devices.hasGpu() ? Long.MAX_VALUE : config.transientBytes());
  }

  /**
   * Checks that a variable's shards can be updated.
   *
   * @throws IllegalArgumentException if they are of another mesh, or the update is not for shards
   */
  void require(VariableInShards variable) {
    if (!mesh.equals(Optional.of(variable.layout().mesh()))) {
      throw new IllegalArgumentException(
          ("variable '%s' is sharded over the mesh %s, the optimizer has %s: give it the same by"
                  + " Adafactor.builder(graph).mesh(mesh)")
              .formatted(
                  variable.name(),
                  variable.layout().mesh().describe(),
                  mesh.map(Mesh::describe).orElse("none")));
    }
    if (config.numerics() == Numerics.TF_KERAS) {
      throw new IllegalArgumentException(
          ("variable '%s' is sharded: the bits of tf_keras depend on the order of its sums, which"
                  + " shards do not have; use Numerics.STABLE")
              .formatted(variable.name()));
    }
    if (config.jitCompile() == JitCompile.ALWAYS) {
      throw new IllegalArgumentException(
          ("variable '%s' is sharded: its update is of several devices, and XLA compiles for one;"
                  + " use JitCompile.WHERE_GPU or OFF")
              .formatted(variable.name()));
    }
  }
}

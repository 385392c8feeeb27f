package dev.adafactor.bench;

import dev.adafactor.JitCompile;
import dev.adafactor.Numerics;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.parity.OnMesh;
import dev.adafactor.parity.VariableKind;
import java.util.Locale;
import java.util.Optional;

/**
 * How this library's optimizer is set up.
 *
 * @param variables the kind of variable that it trains
 * @param numerics which operations compute the update
 * @param jitCompile whether XLA compiles them
 * @param mesh over which the variables are sharded; empty if each is in one piece
 * @param reductions how sums over the shards are taken
 */
public record Variant(
    VariableKind variables,
    Numerics numerics,
    JitCompile jitCompile,
    Optional<Mesh> mesh,
    Reductions reductions) {

  /**
   * Checks.
   *
   * @throws IllegalArgumentException if it is sharded, and not as shards must be
   */
  public Variant {
    if (mesh.isPresent()) {
      requireOfShards(variables == VariableKind.REFERENCE, "variables", variables);
      requireOfShards(numerics == Numerics.STABLE, "numerics", numerics);
      requireOfShards(jitCompile == JitCompile.OFF, "jit_compile", jitCompile);
    }
  }

  private static void requireOfShards(boolean possible, String what, Enum<?> given) {
    if (!possible) {
      throw new IllegalArgumentException(
          "%s: %s does not go with a mesh: shards are reference variables, updated by the stable numerics, without XLA"
              .formatted(what, given.name().toLowerCase(Locale.ROOT)));
    }
  }

  Keeping keeping() {
    return mesh.<Keeping>map(each -> new InShards(new OnMesh(each, reductions)))
        .orElseGet(() -> new InOnePiece(variables));
  }
}

package dev.adafactor.bench;

import dev.adafactor.JitCompile;
import dev.adafactor.Numerics;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.parity.VariableKind;
import java.io.IOException;
import java.util.Locale;
import java.util.Optional;

/** Another implementation, or another optimizer, to be measured beside this library's. */
public enum Peer {
  /** tf_keras's Adafactor in a {@code tf.function}. */
  TF_KERAS,
  /** The same compiled by XLA. */
  TF_KERAS_JIT,
  /** tf_keras's Adam in a {@code tf.function}. */
  TF_KERAS_ADAM,
  /** {@code optax.adafactor}, compiled, with donated buffers. */
  OPTAX,
  /** {@code torch.optim.Adafactor}, one variable after the other. */
  TORCH,
  /** {@code torch.optim.Adafactor} with {@code foreach=True}. */
  TORCH_FOREACH,
  /** The Adam of TensorFlow Java's framework, in this process. */
  FRAMEWORK_ADAM {
    @Override
    Contender start(PeerPrograms programs, Workload workload) {
      return GraphContender.frameworkAdam(workload);
    }

    @Override
    public boolean needsPython() {
      return false;
    }
  },
  /** Adafactor in C, fused by hand, as fast as this machine's memory allows. */
  C {
    @Override
    Contender start(PeerPrograms programs, Workload workload) throws IOException {
      return programs.floor(workload);
    }

    @Override
    public boolean needsPython() {
      return false;
    }
  },
  /** This library's own optimizer with each variable in one piece, beside sharded ones. */
  UNSHARDED {
    @Override
    Contender start(PeerPrograms programs, Workload workload) {
      return GraphContender.adafactor(
          workload,
          new Variant(
              VariableKind.REFERENCE,
              Numerics.STABLE,
              JitCompile.OFF,
              Optional.empty(),
              Reductions.ADD_N));
    }

    @Override
    public boolean needsPython() {
      return false;
    }
  };

  /**
   * Makes it ready.
   *
   * @throws IOException if it cannot be had; the message says why in one line
   */
  Contender start(PeerPrograms programs, Workload workload) throws IOException {
    return programs.python(label(), workload);
  }

  /** Whether it runs in a Python of the user's. */
  public boolean needsPython() {
    return true;
  }

  /** Its name in small letters. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}

package dev.adafactor;

import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.types.family.TNumber;

/**
 * What an update needs of a variable with elements, or of one shard, that is worked on by itself.
 * Its parts are asked for in their order, each once.
 *
 * @param variableRms rms(w), after weight decay
 * @param gradient the passes over the gradient
 * @param writing adds the write
 */
record Piece<C extends TNumber>(Operand<C> variableRms, Passes<C> gradient, Writing<C> writing) {

  /** How the variable becomes {@code w - rate * g * inverseRoots}. */
  interface Writing<C extends TNumber> {
    /**
     * Adds it.
     *
     * @param rate a scalar
     * @param inverseRoots 1/√v, of which the gradient's {@link Passes#updateRms} was asked for
     */
    Op write(Operand<C> rate, SecondMoment<C> inverseRoots);
  }
}

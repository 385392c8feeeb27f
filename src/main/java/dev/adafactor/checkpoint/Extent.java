package dev.adafactor.checkpoint;

/** How much of a checkpoint has to be there for it to be put back. */
public enum Extent {
  /** Model, optimizer and what is beside them. */
  ALL,

  /** All of the model, and all of the optimizer if the checkpoint has one that was used. */
  MODEL,

  /**
   * Whatever has the same place, shape and type. The optimizer's state is found by the names of its
   * variables, and that of a variable is put back whole or not at all; where none is, the optimizer
   * keeps its number of steps and its learning rate too.
   */
  WHAT_FITS
}

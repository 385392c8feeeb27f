package dev.adafactor.checkpoint;

/** What a tensor of a checkpoint is the value of. */
sealed interface Quantity {

  /** A variable of the model, by the index of its object in the SavedModel. */
  record OfModel(int object) implements Quantity {}

  /** A part of the optimizer's state for the variable of that number among those it trains. */
  record OfOptimizer(Part part, int variable) implements Quantity {}

  /** A part of the optimizer's state for one variable. */
  enum Part {
    R,
    C,

    /** Of variables of rank 2 and more it is derived from r and c when it is written. */
    V,

    AVERAGE,

    /** In tf_keras r and c of variables of rank 0 and 1 are a number that says nothing, 0. */
    UNUSED
  }

  /** A number that there is but once. */
  enum Counter implements Quantity {
    ITERATIONS,
    LEARNING_RATE,

    /** How many checkpoints Python has written, part of the name of its next one. */
    SAVES
  }
}

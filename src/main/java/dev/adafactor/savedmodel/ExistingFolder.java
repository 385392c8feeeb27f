package dev.adafactor.savedmodel;

/** What becomes of a folder that is where a model is to be written. */
public enum ExistingFolder {
  /** It is kept, and nothing is written. */
  REFUSE,

  /** It is replaced as a whole, if it holds a SavedModel. */
  REPLACE
}

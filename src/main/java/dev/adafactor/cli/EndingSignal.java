package dev.adafactor.cli;

/** A signal by which people and systems end programs. */
enum EndingSignal {
  INT(2),
  TERM(15);

  private final int number;

  EndingSignal(int number) {
    this.number = number;
  }

  /** What shells report of a program that it ended. */
  int exitCode() {
    return 128 + number;
  }
}

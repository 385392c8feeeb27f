package dev.adafactor.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;

/** What the cost of a step is measured against. */
public enum Curve {
  /** The size of one square matrix, from 10^4 elements to 10^9. */
  PARAMETERS("parameters") {
    @Override
    LongStream all() {
      return powersOfTen(10_000, 1_000_000_000);
    }

    @Override
    public Optional<ShapeSet> shapes(long place) {
      long side = Math.round(Math.sqrt((double) place));
      return Optional.of(
          new ShapeSet("%dx%d".formatted(side, side), List.of(Parameter.dense("0", side, side))));
    }
  },

  /** How many equal small matrices there are, from one to 10,000. */
  VARIABLES("variables of 32x32") {
    private static final int SIDE = 32;

    @Override
    LongStream all() {
      return powersOfTen(1, 10_000);
    }

    @Override
    public Optional<ShapeSet> shapes(long place) {
      List<Parameter> parameters = new ArrayList<>();
      for (int i = 0; i < place; i++) {
        parameters.add(Parameter.dense(Integer.toString(i), SIDE, SIDE));
      }
      return Optional.of(new ShapeSet("%d of %dx%d".formatted(place, SIDE, SIDE), parameters));
    }
  },

  /** The threads that compute, from one to as many as there are processors. */
  THREADS("threads") {
    @Override
    LongStream all() {
      return LongStream.rangeClosed(1, Runtime.getRuntime().availableProcessors());
    }

    @Override
    public Optional<ShapeSet> shapes(long place) {
      return Optional.empty();
    }
  };

  private final String title;

  Curve(String title) {
    this.title = title;
  }

  abstract LongStream all();

  /** The variables at a place, where the curve is about them. */
  public abstract Optional<ShapeSet> shapes(long place);

  /** Where to measure. */
  public List<Long> places() {
    return all().boxed().toList();
  }

  /** What the places are. */
  public String title() {
    return title;
  }

  private static LongStream powersOfTen(long first, long last) {
    return LongStream.iterate(first, place -> place <= last, place -> 10 * place);
  }
}

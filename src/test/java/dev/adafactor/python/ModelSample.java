package dev.adafactor.python;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Which of the models that a script makes a live test takes: those that {@code -Dlive.models=a,b}
 * names, all of them for {@code -Dlive.full=true}, else a sample, by {@code -Dlive.seed}.
 */
public final class ModelSample {
  private ModelSample() {}

  /** The script's arguments: the folder, and which models it is to make there. */
  public static Object[] of(Path folder) {
    List<Object> arguments = new ArrayList<>(List.of(folder));
    String only = System.getProperty("live.models");
    if (only != null) {
      arguments.add("--only");
      arguments.addAll(List.of(only.split(",", -1)));
    } else if (!Boolean.getBoolean("live.full")) {
      long seed = Long.getLong("live.seed", new Random().nextInt(1 << 30));
      System.out.println("a sample of models by -Dlive.seed=" + seed);
      arguments.addAll(List.of("--sample", seed));
    }
    return arguments.toArray();
  }
}

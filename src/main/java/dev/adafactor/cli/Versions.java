package dev.adafactor.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import org.tensorflow.TensorFlow;

/** With what this program computes, as reports tell it. */
final class Versions {
  private Versions() {}

  /** By name; may be added to. */
  static Map<String, String> ofJava() {
    String version = Versions.class.getPackage().getImplementationVersion();
    Map<String, String> versions = new LinkedHashMap<>();
    versions.put("tf", TensorFlow.version());
    versions.put("adafactor", version == null ? "development" : version);
    versions.put("java", System.getProperty("java.version"));
    versions.put("platform", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    return versions;
  }
}

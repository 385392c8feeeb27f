package dev.adafactor.files;

import java.io.IOException;

/** Something that is written to files. */
@FunctionalInterface
public interface Writing {
  void run() throws IOException;
}

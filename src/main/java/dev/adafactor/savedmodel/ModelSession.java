package dev.adafactor.savedmodel;

import dev.adafactor.mesh.ClusterSession;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.tensorflow.Graph;
import org.tensorflow.Session;

/** The session that a model is run in. */
sealed interface ModelSession extends AutoCloseable permits OwnSession, ModelOnCluster {

  /** Opens the session of a model. */
  @FunctionalInterface
  interface Opener {
    ModelSession open(SavedModelFolder folder) throws IOException;
  }

  /** The model's graph. */
  Graph graph();

  /** Where the model's variables are. */
  Session session();

  /** What runs the session, if it is not this process. */
  Optional<ClusterSession> cluster();

  /**
   * Writes the values of the model's variables.
   *
   * @param prefix of the files
   * @throws IOException if they cannot be written
   */
  void save(Path prefix) throws IOException;

  @Override
  void close();
}

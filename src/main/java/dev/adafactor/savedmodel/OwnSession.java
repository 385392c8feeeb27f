package dev.adafactor.savedmodel;

import dev.adafactor.graph.ErrorLine;
import dev.adafactor.mesh.ClusterSession;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.tensorflow.Graph;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TensorFlowException;

/** The session that TensorFlow loads a model into, which this process runs. */
record OwnSession(SavedModelBundle bundle) implements ModelSession {

  @Override
  public Graph graph() {
    return bundle.graph();
  }

  @Override
  public Session session() {
    return bundle.session();
  }

  @Override
  public Optional<ClusterSession> cluster() {
    return Optional.empty();
  }

  @Override
  public void save(Path prefix) throws IOException {
    try {
      session().save(prefix.toString());
    } catch (TensorFlowException e) {
      throw new IOException("cannot write the variables: " + ErrorLine.of(e), e);
    }
  }

  @Override
  public void close() {
    bundle.close();
  }
}

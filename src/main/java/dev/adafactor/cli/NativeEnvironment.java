package dev.adafactor.cli;

import com.sun.jna.NativeLibrary;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.TensorFlow;
import org.tensorflow.op.Ops;

/** Settings of the process that Java has no means for. Where they cannot be had, they are left. */
final class NativeEnvironment {
  private static final Logger LOGGER = System.getLogger(NativeEnvironment.class.getName());
  private static final String LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL";
  private static final String WARNINGS = "1";

  private NativeEnvironment() {}

  /**
   * Sets what has to be set before TensorFlow's native library is loaded, where the user has not
   * set it otherwise.
   */
  static void prepare() {
    // JavaCPP would refuse allocations beyond a multiple of the Java heap; models live outside it.
    setProperty("org.bytedeco.javacpp.maxphysicalbytes", "0");
    setProperty("org.bytedeco.javacpp.maxbytes", "0");
    setProperty("java.awt.headless", "true");
    int keepPresent = 0;
    try {
      libc("setenv", LOG_LEVEL, WARNINGS, keepPresent);
    } catch (LinkageError e) {
      LOGGER.log(Level.DEBUG, "cannot set " + LOG_LEVEL, e);
    }
  }

  /**
   * Loads TensorFlow. A part of it logs through an Abseil of its own, which heeds no environment
   * variable and cannot be reached: its one remark, that an optimization is off, comes with the
   * first run of a session. It is let go by in a run of nothing, with standard error closed, unless
   * the user has asked for a log.
   */
  static void loadTensorFlow() {
    if (System.getenv(LOG_LEVEL) != null) {
      return;
    }
    int standardError = 2;
    int writeOnly = 1;
    try {
      TensorFlow.version();
      int kept = libc("dup", standardError);
      int nowhere = libc("open", "/dev/null", writeOnly);
      libc("dup2", nowhere, standardError);
      try (Graph graph = new Graph();
          Session session = new Session(graph)) {
        session.run(Ops.create(graph).noOp());
      } finally {
        libc("dup2", kept, standardError);
        libc("close", kept);
        libc("close", nowhere);
      }
    } catch (UnsatisfiedLinkError e) {
      LOGGER.log(Level.DEBUG, "cannot redirect standard error", e);
    }
  }

  /** Whether standard output is a terminal; System.console() asks for standard input, too. */
  static boolean isTerminal() {
    int standardOutput = 1;
    try {
      return libc("isatty", standardOutput) == 1;
    } catch (LinkageError e) {
      return false;
    }
  }

  private static int libc(String function, Object... arguments) {
    return NativeLibrary.getProcess().getFunction(function).invokeInt(arguments);
  }

  private static void setProperty(String name, String value) {
    if (System.getProperty(name) == null) {
      System.setProperty(name, value);
    }
  }
}

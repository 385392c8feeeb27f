package dev.adafactor.cli;

import com.sun.jna.NativeLibrary;
import dev.adafactor.graph.CompiledFunction;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.List;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.TensorFlow;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TFloat32;

/** Settings of the process that Java has no means for. Where they cannot be had, they are left. */
final class NativeEnvironment {
  private static final Logger LOGGER = System.getLogger(NativeEnvironment.class.getName());
  private static final String LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL";
  private static final String FATAL = "3";

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
      // Errors come as exceptions; logged besides, they would be said twice.
      libc("setenv", LOG_LEVEL, FATAL, keepPresent);
    } catch (LinkageError e) {
      LOGGER.log(Level.DEBUG, "cannot set " + LOG_LEVEL, e);
    }
  }

  /** Has TensorFlow compute with so many threads: of effect before its first session only. */
  static void limitThreads(int threads) {
    int replacePresent = 1;
    for (String name : List.of("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")) {
      try {
        libc("setenv", name, Integer.toString(threads), replacePresent);
      } catch (LinkageError e) {
        LOGGER.log(Level.DEBUG, "cannot set " + name, e);
      }
    }
  }

  /**
   * Loads TensorFlow. A part of it logs through an Abseil of its own, which heeds no environment
   * variable and cannot be reached: its one remark, that an optimization is off, comes with the
   * first run of a session. It is let go by in a run of nothing.
   *
   * @throws LinkageError if the native library is not there, or is not for this machine
   */
  static void loadTensorFlow() {
    TensorFlow.version();
    quietly(
        () -> {
          try (Graph graph = new Graph();
              Session session = new Session(graph)) {
            session.run(Ops.create(graph).noOp());
          }
        });
  }

  /** Has XLA compile something, which it remarks upon by that same Abseil, the first time only. */
  static void loadCompiler() {
    quietly(
        () -> {
          try (Graph graph = new Graph();
              Session session = new Session(graph);
              TFloat32 number = TFloat32.scalarOf(1)) {
            Ops tf = Ops.create(graph);
            CompiledFunction function =
                CompiledFunction.create(
                    graph,
                    "first",
                    List.of(new CompiledFunction.Argument(TFloat32.class, Shape.scalar())),
                    (inner, arguments) -> List.of(inner.math.exp(typed(arguments.get(0)))));
            // Fed: of constants the result would be computed beforehand, uncompiled.
            Placeholder<TFloat32> input =
                tf.placeholder(TFloat32.class, Placeholder.shape(Shape.scalar()));
            Output<?> result = function.call(tf, List.of(input)).get(0);
            session.runner().feed(input, number).fetch(result).run().close();
          }
        });
  }

  @SuppressWarnings("unchecked") // The type of the function's only argument.
  private static Operand<TFloat32> typed(Operand<?> argument) {
    return (Operand<TFloat32>) argument;
  }

  /** With standard error closed, unless the user has asked for a log. */
  private static void quietly(Runnable action) {
    int standardError = 2;
    int writeOnly = 1;
    if (System.getenv(LOG_LEVEL) != null || !hasLibc()) {
      action.run();
      return;
    }
    int kept = libc("dup", standardError);
    int nowhere = libc("open", "/dev/null", writeOnly);
    libc("dup2", nowhere, standardError);
    try {
      action.run();
    } finally {
      libc("dup2", kept, standardError);
      libc("close", kept);
      libc("close", nowhere);
    }
  }

  private static boolean hasLibc() {
    try {
      NativeLibrary.getProcess().getFunction("dup2");
      return true;
    } catch (LinkageError e) {
      LOGGER.log(Level.DEBUG, "cannot redirect standard error", e);
      return false;
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

  /**
   * Ends the process at once. {@link Runtime#halt} and {@link System#exit} run the destructors of
   * native libraries, and those of TensorFlow crash under threads that still compute.
   */
  static void exit(int exitCode) {
    try {
      libc("_exit", exitCode);
    } catch (LinkageError e) {
      LOGGER.log(Level.DEBUG, "cannot leave out destructors", e);
    } finally {
      Runtime.getRuntime().halt(exitCode);
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

package dev.adafactor;

import com.sun.jna.NativeLibrary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.platform.launcher.LauncherSession;
import org.junit.platform.launcher.LauncherSessionListener;

/**
 * Lets what native code writes to standard error go to {@code target/native.log}: TensorFlow's XLA
 * logs some lines that no setting turns off.
 */
public final class NativeLog implements LauncherSessionListener {

  private static final int STANDARD_ERROR = 2;
  private static final int WRITE_CREATE_APPEND = 0x441; // of Linux; elsewhere nothing is done
  private static final int OWNER_READS_AND_WRITES = 0x180;

  /** For the launcher of the tests. */
  public NativeLog() {}

  @Override
  public void launcherSessionOpened(LauncherSession session) {
    if (!System.getProperty("os.name").equals("Linux")) {
      return;
    }
    try {
      Path log = Files.createDirectories(Path.of("target")).resolve("native.log");
      int file = libc("open", log.toString(), WRITE_CREATE_APPEND, OWNER_READS_AND_WRITES);
      if (file >= 0) {
        libc("dup2", file, STANDARD_ERROR);
      }
    } catch (IOException | LinkageError e) {
      System.getLogger(NativeLog.class.getName())
          .log(System.Logger.Level.DEBUG, "standard error stays where it is", e);
    }
  }

  private static int libc(String function, Object... arguments) {
    return NativeLibrary.getProcess().getFunction(function).invokeInt(arguments);
  }
}

package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/**
 * Runs each test of a class in a JVM of its own, in a network namespace that has nothing but
 * loopback: TensorFlow's servers listen on all interfaces. The processes that a test starts share
 * its namespace, of which it is root.
 */
public final class OwnNetwork implements InvocationInterceptor {
  private static final String INSIDE = "own.network";
  private static final List<String> HANDED_ON = List.of("live.full", "live.seed", "python");
  private static final int MINUTES = 20;

  /** JUnit makes one for a class that is extended with it. */
  public OwnNetwork() {}

  @Override
  public void interceptBeforeEachMethod(
      Invocation<Void> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    onlyInside(invocation);
  }

  @Override
  public void interceptAfterEachMethod(
      Invocation<Void> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    onlyInside(invocation);
  }

  private static void onlyInside(Invocation<Void> invocation) throws Throwable {
    if (Boolean.getBoolean(INSIDE)) {
      invocation.proceed();
    } else {
      invocation.skip();
    }
  }

  @Override
  public void interceptTestMethod(
      Invocation<Void> invocation,
      ReflectiveInvocationContext<Method> method,
      ExtensionContext context)
      throws Throwable {
    onlyInside(invocation);
    if (!Boolean.getBoolean(INSIDE)) {
      requireNamespaces();
      runInside(context.getRequiredTestClass().getName() + "#" + method.getExecutable().getName());
    }
  }

  private static void requireNamespaces() throws IOException, InterruptedException {
    boolean found =
        Files.isExecutable(Path.of("/usr/bin/unshare")) && namespace("true").start().waitFor() == 0;
    String missing = "no network namespaces here (unshare -rn, ip link)";
    if (System.getenv("CI") == null) {
      assumeTrue(found, missing);
    } else {
      assertTrue(found, missing);
    }
  }

  private static ProcessBuilder namespace(String... command) {
    List<String> all =
        new ArrayList<>(
            List.of("unshare", "-rn", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"));
    all.addAll(List.of(command));
    return new ProcessBuilder(all);
  }

  private static void runInside(String test) throws IOException, InterruptedException {
    List<String> options = new ArrayList<>(List.of("-Xmx512m", "-D" + INSIDE + "=true"));
    for (String name : HANDED_ON) {
      if (System.getProperty(name) != null) {
        options.add("-D%s=%s".formatted(name, System.getProperty(name)));
      }
    }
    ProcessBuilder java = JavaProcess.builder(options, OwnNetwork.class, test);
    File output = File.createTempFile("own-network-", ".txt");
    Process process =
        namespace(java.command().toArray(String[]::new))
            .redirectErrorStream(true)
            .redirectOutput(output)
            .start();
    try {
      boolean ended = process.waitFor(MINUTES, TimeUnit.MINUTES);
      String said = Files.readString(output.toPath());
      assertTrue(ended, () -> test + " hangs:\n" + said);
      assertEquals(0, process.exitValue(), () -> test + " fails in its network:\n" + said);
      System.out.print(said);
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
      Files.delete(output.toPath());
    }
  }

  /** Runs the test that is named, {@code CLASS#METHOD}. */
  public static void main(String[] arguments) {
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request().selectors(selectMethod(arguments[0])).build();
    SummaryGeneratingListener listener = new SummaryGeneratingListener();
    LauncherFactory.create().execute(request, listener);
    TestExecutionSummary summary = listener.getSummary();
    summary.printFailuresTo(new PrintWriter(System.out, true, StandardCharsets.UTF_8));
    // Not by returning: a test that fails may leave threads that wait for native code.
    Runtime.getRuntime().halt(summary.getTestsSucceededCount() == 1 ? 0 : 1);
  }
}

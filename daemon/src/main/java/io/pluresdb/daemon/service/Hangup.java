package io.pluresdb.daemon.service;

import java.lang.reflect.Proxy;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** SIGHUP, by which a service is told to read its configuration again. */
public final class Hangup {
  private static final Logger log = LoggerFactory.getLogger(Hangup.class);

  private Hangup() {}

  /**
   * Runs {@code action} at every SIGHUP, on a thread of its own; without this the signal ends the
   * process. Where the JVM has no such signals, nothing happens.
   */
  public static void run(Runnable action) {
    try {
      // By reflection: the compiler warns of these names, and the warning cannot be turned off.
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object onHangup =
          Proxy.newProxyInstance(
              Hangup.class.getClassLoader(),
              new Class<?>[] {handler},
              (proxy, method, arguments) -> {
                action.run();
                return null;
              });
      Object hangup = signal.getConstructor(String.class).newInstance("HUP");
      signal.getMethod("handle", signal, handler).invoke(null, hangup, onHangup);
    } catch (ReflectiveOperationException e) {
      log.warn("the configuration is read at the start only: {}", String.valueOf(e.getCause()));
    }
  }
}

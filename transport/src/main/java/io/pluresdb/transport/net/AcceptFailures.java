package io.pluresdb.transport.net;

import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a listening socket does when a connection cannot be accepted, as when the process has no
 * file descriptor left: it rests for a moment, in which connections wait with the kernel, and goes
 * on. The operator is told once in a while. Goes in front of a listening channel; thread-safe.
 */
@Sharable
public final class AcceptFailures extends ChannelInboundHandlerAdapter {
  private static final Logger log = LoggerFactory.getLogger(AcceptFailures.class);

  /** Trying on at once would only fail on, at the cost of everybody else on the thread. */
  static final Duration REST = Duration.ofMillis(100);

  private static final Duration SAID_AGAIN = Duration.ofMinutes(1);

  private final AtomicLong saidNanos = new AtomicLong(System.nanoTime() - SAID_AGAIN.toNanos());

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    if (!(cause instanceof IOException)) {
      ctx.fireExceptionCaught(cause);
      return;
    }
    long said = saidNanos.get();
    long now = System.nanoTime();
    if (now - said >= SAID_AGAIN.toNanos() && saidNanos.compareAndSet(said, now)) {
      log.error(
          "connections cannot be accepted for now; raise the limit of open files if this is it"
              + " address={} cause={}",
          ctx.channel().localAddress(),
          cause.getMessage());
    }
    ctx.channel().config().setAutoRead(false);
    try {
      var _ =
          ctx.executor()
              .schedule(
                  () -> ctx.channel().config().setAutoRead(true),
                  REST.toMillis(),
                  TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      // It is closing.
      log.trace("listening ends address={}", ctx.channel().localAddress());
    }
  }
}

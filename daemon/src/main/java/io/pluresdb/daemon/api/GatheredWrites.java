package io.pluresdb.daemon.api;

import io.netty.channel.EventLoop;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Requests that write, of all connections of an event loop, from when they were read until the loop
 * has read everything that had come: then they are handed to the database one right after another,
 * so that more of them share a commit. Belongs to the event loop.
 */
final class GatheredWrites implements Runnable {
  private final EventLoop loop;
  private final Deque<Runnable> writes = new ArrayDeque<>();

  GatheredWrites(EventLoop loop) {
    this.loop = loop;
  }

  /**
   * Takes a write in.
   *
   * @param write must not throw what its own request could be told
   */
  void add(Runnable write) {
    writes.add(write);
    if (writes.size() == 1) {
      loop.execute(this);
    }
  }

  /** What the event loop runs after it has read from every connection that had something. */
  @Override
  public void run() {
    try {
      for (Runnable write = writes.peek(); write != null; write = writes.peek()) {
        write.run();
        writes.remove();
      }
    } finally {
      // Only a defect leaves some: those behind it are answered all the same.
      if (!writes.isEmpty()) {
        writes.remove();
        if (!writes.isEmpty()) {
          loop.execute(this);
        }
      }
    }
  }
}

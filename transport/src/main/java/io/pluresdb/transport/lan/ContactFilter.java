package io.pluresdb.transport.lan;

import io.pluresdb.transport.topic.Hint;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Lets through what concerns our databases and was not said lately. Remembers a bounded number of
 * contacts, the oldest forgotten first. Thread-safe.
 */
final class ContactFilter {
  static final int MAX_REMEMBERED = 1024;

  private static final Duration REPEAT_AFTER = Duration.ofSeconds(30);

  private final InstantSource clock;
  private final Supplier<Set<Hint>> ours;
  private final Consumer<Contact> listener;
  private final Map<Contact, Instant> remembered = new LinkedHashMap<>();

  ContactFilter(InstantSource clock, Supplier<Set<Hint>> ours, Consumer<Contact> listener) {
    this.clock = clock;
    this.ours = ours;
    this.listener = listener;
  }

  /** Hands over the contacts of {@code hints} that are ours; returns whether there was any. */
  boolean offer(InetSocketAddress address, Collection<Hint> hints) {
    Set<Hint> wanted = ours.get();
    List<Contact> matching =
        hints.stream().filter(wanted::contains).map(hint -> new Contact(address, hint)).toList();
    for (Contact contact : matching) {
      if (isNews(contact)) {
        listener.accept(contact);
      }
    }
    return !matching.isEmpty();
  }

  synchronized int size() {
    return remembered.size();
  }

  private synchronized boolean isNews(Contact contact) {
    Instant now = clock.instant();
    Instant last = remembered.get(contact);
    if (last != null && now.isBefore(last.plus(REPEAT_AFTER))) {
      return false;
    }
    remembered.remove(contact);
    remembered.put(contact, now);
    if (remembered.size() > MAX_REMEMBERED) {
      remembered.remove(remembered.keySet().iterator().next());
    }
    return true;
  }
}

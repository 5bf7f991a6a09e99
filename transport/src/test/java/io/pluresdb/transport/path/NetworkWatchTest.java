package io.pluresdb.transport.path;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.path.NetworkWatch.Change;
import java.net.InetAddress;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What counts as another network. */
class NetworkWatchTest {
  private static final Set<InetAddress> HOME = Set.of(InetAddress.ofLiteral("192.168.1.7"));
  private static final Set<InetAddress> TRAIN = Set.of(InetAddress.ofLiteral("10.4.4.4"));

  @Test
  void look_tellsMovesAndSleepApart_once() {
    var watch = new NetworkWatch(HOME, 1_000, 500_000);
    assertThat(watch.look(HOME, 3_000, 502_000)).isEqualTo(Change.NONE);
    assertThat(watch.look(Set.of(), 5_000, 504_000)).as("gone").isEqualTo(Change.MOVED);
    assertThat(watch.look(TRAIN, 7_000, 506_000)).as("a new one").isEqualTo(Change.MOVED);
    assertThat(watch.look(TRAIN, 9_000, 508_000)).isEqualTo(Change.NONE);
    assertThat(watch.look(TRAIN, 11_000, 3_510_000)).as("an hour's sleep").isEqualTo(Change.WOKE);
    assertThat(watch.look(TRAIN, 13_000, 3_512_000)).isEqualTo(Change.NONE);
  }

  @Test
  void look_clockThatIsSlewedOrSetBack_isNoSleep() {
    var watch = new NetworkWatch(HOME, 0, 0);
    long limit = NetworkWatch.SLEPT.toMillis();
    assertThat(watch.look(HOME, 2_000, 2_000 + limit - 1)).isEqualTo(Change.NONE);
    assertThat(watch.look(HOME, 4_000, 0)).isEqualTo(Change.NONE);
    assertThat(watch.look(HOME, 6_000, 2_000 + limit)).isEqualTo(Change.WOKE);
  }
}

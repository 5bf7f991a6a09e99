package io.pluresdb.storage.rocks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class RocksOptionsTest {
  @Test
  void options_outOfRange_nameSettingRangeAndValue() {
    RocksOptions defaults = RocksOptions.defaults(Path.of("native"));
    assertThatThrownBy(() -> defaults.withWriteBuffer(257))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("storage.write-buffer-mib must be 1 to 256, but is 257");
    assertThat(defaults.withWriteBuffer(256).writeBufferMebibytes()).isEqualTo(256);
  }

  @Test
  void blockCache_hasShardsThatHoldTheFiltersOfSeveralFiles() {
    assertThat(RocksTuning.shardBits(1)).isZero();
    assertThat(RocksTuning.shardBits(8)).isEqualTo(1);
    assertThat(RocksTuning.shardBits(64)).isEqualTo(4);
    assertThat(RocksTuning.shardBits(4_096)).isEqualTo(6);
  }
}

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
}

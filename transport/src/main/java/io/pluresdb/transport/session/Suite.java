package io.pluresdb.transport.session;

import com.sun.management.HotSpotDiagnosticMXBean;
import io.pluresdb.transport.noise.NoiseProtocol;
import java.lang.management.ManagementFactory;
import org.jspecify.annotations.Nullable;

/** A Noise protocol a session may use, named by one byte of the preamble. */
public enum Suite {
  /** Fast with and without hardware support. */
  CHACHAPOLY(1, "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b"),
  /** For hardware with AES and carry-less multiplication. */
  AESGCM(2, "Noise_XXpsk0_25519_AESGCM_BLAKE2b");

  private final byte code;
  private final String protocolName;

  Suite(int code, String protocolName) {
    this.code = (byte) code;
    this.protocolName = protocolName;
  }

  /**
   * The faster one here: {@link #AESGCM} where the JVM computes AES with the processor's
   * instructions, {@link #CHACHAPOLY} elsewhere. Whoever dials chooses; everybody accepts both.
   */
  public static Suite preferred() {
    var jvm = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
    return jvm != null && isOn(jvm, "UseAES") ? AESGCM : CHACHAPOLY;
  }

  private static boolean isOn(HotSpotDiagnosticMXBean jvm, String option) {
    try {
      return Boolean.parseBoolean(jvm.getVMOption(option).getValue());
    } catch (IllegalArgumentException e) {
      // This JVM knows no such option.
      return false;
    }
  }

  byte code() {
    return code;
  }

  NoiseProtocol protocol() {
    return NoiseProtocol.parse(protocolName);
  }

  static @Nullable Suite of(byte code) {
    for (Suite suite : values()) {
      if (suite.code == code) {
        return suite;
      }
    }
    return null;
  }
}

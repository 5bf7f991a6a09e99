package io.pluresdb.transport.noise;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.spec.AlgorithmParameterSpec;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;

/** An AEAD of section 12 of the Noise specification, as JCE names and parameterises it. */
enum CipherFunction {
  CHACHAPOLY("ChaChaPoly", "ChaCha20-Poly1305", "ChaCha20", ByteOrder.LITTLE_ENDIAN, true) {
    @Override
    AlgorithmParameterSpec parameters(byte[] nonce) {
      return new IvParameterSpec(nonce);
    }
  },
  AESGCM("AESGCM", "AES/GCM/NoPadding", "AES", ByteOrder.BIG_ENDIAN, false) {
    @Override
    AlgorithmParameterSpec parameters(byte[] nonce) {
      return new GCMParameterSpec(8 * CipherState.TAG_BYTES, nonce);
    }
  };

  private static final int NONCE_BYTES = 12;

  private final String noiseName;
  private final String transformation;
  private final String keyAlgorithm;
  private final ByteOrder nonceOrder;
  private final boolean decryptsWellInPlace;

  CipherFunction(
      String noiseName,
      String transformation,
      String keyAlgorithm,
      ByteOrder nonceOrder,
      boolean decryptsWellInPlace) {
    this.noiseName = noiseName;
    this.transformation = transformation;
    this.keyAlgorithm = keyAlgorithm;
    this.nonceOrder = nonceOrder;
    this.decryptsWellInPlace = decryptsWellInPlace;
  }

  static CipherFunction parse(String noiseName) {
    for (CipherFunction function : values()) {
      if (function.noiseName.equals(noiseName)) {
        return function;
      }
    }
    throw new IllegalArgumentException("unknown Noise cipher " + noiseName);
  }

  String transformation() {
    return transformation;
  }

  String keyAlgorithm() {
    return keyAlgorithm;
  }

  /**
   * Whether the JDK decrypts into the array it reads as fast as into another: its AES-GCM then
   * reads twice, first for the tag.
   */
  boolean decryptsWellInPlace() {
    return decryptsWellInPlace;
  }

  /** Four zero bytes, then the counter in the cipher's byte order. */
  byte[] nonce(long counter) {
    return ByteBuffer.allocate(NONCE_BYTES).order(nonceOrder).putInt(0).putLong(counter).array();
  }

  abstract AlgorithmParameterSpec parameters(byte[] nonce);
}

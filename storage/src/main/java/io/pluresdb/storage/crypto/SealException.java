package io.pluresdb.storage.crypto;

/** Bytes that are not what somebody with the key has sealed. */
final class SealException extends Exception {
  private static final long serialVersionUID = 1;

  SealException(String message) {
    super(message);
  }
}

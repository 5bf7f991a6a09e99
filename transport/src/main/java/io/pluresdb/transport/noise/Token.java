package io.pluresdb.transport.noise;

/** One step of a handshake message (section 7 of the Noise specification). */
enum Token {
  E,
  S,
  EE,
  ES,
  SE,
  SS,
  PSK
}

package io.pluresdb.transport.net;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Date;
import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.DERBitString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.asn1.x509.TBSCertificate;
import org.bouncycastle.asn1.x509.Time;
import org.bouncycastle.asn1.x509.V3TBSCertificateGenerator;
import org.bouncycastle.asn1.x9.X9ObjectIdentifiers;

/**
 * A certificate with which QUIC can be spoken, of a key made for one start of the program.
 *
 * <p>It says nothing about who the device is: the Noise handshake does, whose prologue has the
 * hashes of both certificates. Whoever stands between two devices has other certificates, and the
 * handshake fails.
 *
 * @param certificate self-signed, ECDSA on P-256, valid at all times
 */
record QuicCertificate(PrivateKey key, X509Certificate certificate) {
  private static final X500Name NAME = new X500Name("CN=pluresdb");
  private static final Instant FROM = Instant.parse("2020-01-01T00:00:00Z");
  // RFC 5280, section 4.1.2.5: no end that is well defined.
  private static final Instant TO = Instant.parse("9999-12-31T23:59:59Z");

  /**
   * @throws IllegalStateException when the JDK lacks what every JDK has
   */
  static QuicCertificate generate() {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(256);
      KeyPair pair = generator.generateKeyPair();
      var algorithm = new AlgorithmIdentifier(X9ObjectIdentifiers.ecdsa_with_SHA256);
      var parts = new V3TBSCertificateGenerator();
      parts.setSerialNumber(new ASN1Integer(BigInteger.ONE));
      parts.setSignature(algorithm);
      parts.setIssuer(NAME);
      parts.setSubject(NAME);
      parts.setStartDate(new Time(Date.from(FROM)));
      parts.setEndDate(new Time(Date.from(TO)));
      parts.setSubjectPublicKeyInfo(
          SubjectPublicKeyInfo.getInstance(pair.getPublic().getEncoded()));
      TBSCertificate unsigned = parts.generateTBSCertificate();
      Signature signer = Signature.getInstance("SHA256withECDSA");
      signer.initSign(pair.getPrivate());
      signer.update(unsigned.getEncoded(ASN1Encoding.DER));
      byte[] der =
          new DERSequence(
                  new org.bouncycastle.asn1.ASN1Encodable[] {
                    unsigned, algorithm, new DERBitString(signer.sign())
                  })
              .getEncoded(ASN1Encoding.DER);
      return new QuicCertificate(
          pair.getPrivate(),
          (X509Certificate)
              CertificateFactory.getInstance("X.509")
                  .generateCertificate(new ByteArrayInputStream(der)));
    } catch (GeneralSecurityException | IOException e) {
      throw new IllegalStateException("no certificate for QUIC can be made", e);
    }
  }

  /** SHA-256 of the initiator's certificate, then of the responder's: what a prologue binds. */
  static byte[] binding(Certificate initiator, Certificate responder)
      throws GeneralSecurityException {
    MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
    byte[] both = new byte[2 * sha256.getDigestLength()];
    System.arraycopy(sha256.digest(initiator.getEncoded()), 0, both, 0, both.length / 2);
    System.arraycopy(
        sha256.digest(responder.getEncoded()), 0, both, both.length / 2, both.length / 2);
    return both;
  }
}

package io.pluresdb.transport.net;

import io.pluresdb.transport.relay.RelayAccess;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a client takes for a relay's certificate: one with the pinned key, whoever signed it; else
 * one that chains, for the relay's host, to the platform's authorities or to those of the relay's
 * own file. A certificate that is trusted though another key is pinned is taken too, and noted: the
 * sessions inside authenticate the peers.
 */
final class RelayTrust extends X509ExtendedTrustManager {
  private static final Logger log = LoggerFactory.getLogger(RelayTrust.class);

  /** Where systems keep the authorities their administrators trust. */
  private static final List<Path> SYSTEM_AUTHORITIES =
      List.of(
          Path.of("/etc/ssl/certs/ca-certificates.crt"),
          Path.of("/etc/pki/tls/certs/ca-bundle.crt"),
          Path.of("/etc/ssl/cert.pem"));

  private final RelayAccess access;
  private final List<X509ExtendedTrustManager> authorities = new ArrayList<>();
  private volatile String intercepted = "";

  /**
   * Reads the authorities.
   *
   * @throws IOException when the file of authorities cannot be read
   */
  RelayTrust(RelayAccess access) throws IOException {
    this.access = access;
    try {
      authorities.add(manager(null));
      for (Path file : SYSTEM_AUTHORITIES) {
        if (Files.isReadable(file)) {
          authorities.add(manager(read(file)));
          break;
        }
      }
    } catch (GeneralSecurityException | IOException e) {
      log.warn("the platform's authorities cannot all be read cause={}", e.toString());
    }
    Path own = access.authorities();
    if (own != null) {
      try {
        authorities.add(manager(read(own)));
      } catch (GeneralSecurityException e) {
        throw new IOException("peers.relay-ca: " + own + " holds no PEM certificates: " + e, e);
      }
    }
  }

  private static KeyStore read(Path file) throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream in = Files.newInputStream(file)) {
      int number = 0;
      for (Certificate certificate :
          CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        store.setCertificateEntry("authority" + number++, certificate);
      }
    }
    return store;
  }

  /** For {@code store}, or the JDK's authorities where it is null. */
  private static X509ExtendedTrustManager manager(@Nullable KeyStore store)
      throws GeneralSecurityException {
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    for (TrustManager manager : factory.getTrustManagers()) {
      if (manager instanceof X509ExtendedTrustManager extended) {
        return extended;
      }
    }
    throw new GeneralSecurityException("there is no X.509 trust manager");
  }

  /** Who issued the newest certificate that was trusted but not the pinned one; empty if none. */
  String intercepted() {
    return intercepted;
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
      throws CertificateException {
    String pin = access.url().pin();
    boolean pinned = pin != null && pin.equals(fingerprint(chain[0]));
    if (!pinned) {
      requireTrusted(chain, authType, engine);
    }
    String issuer = chain[0].getIssuerX500Principal().getName();
    String seen = pin == null || pinned ? "" : issuer;
    if (!seen.isEmpty() && !seen.equals(intercepted)) {
      log.warn(
          "the relay shows another key than the pinned one: TLS is intercepted relay={} issuer={}",
          access.url(),
          issuer);
    }
    intercepted = seen;
  }

  private void requireTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
      throws CertificateException {
    CertificateException failure = null;
    for (X509ExtendedTrustManager manager : authorities) {
      try {
        manager.checkServerTrusted(chain, authType, engine);
        return;
      } catch (CertificateException e) {
        failure = e;
      }
    }
    throw new CertificateException(
        "the certificate shown for "
            + access.url().host()
            + " is not trusted, it was issued by \""
            + chain[0].getIssuerX500Principal().getName()
            + "\": the relay needs another one, or TLS is intercepted on the way; peers.relay-ca"
            + " names further authorities"
            + (failure == null ? "" : " (" + failure.getMessage() + ")"));
  }

  private static String fingerprint(X509Certificate certificate) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(certificate.getPublicKey().getEncoded()));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket)
      throws CertificateException {
    throw new CertificateException("sockets are not used here");
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String authType)
      throws CertificateException {
    throw new CertificateException("an engine is needed to check the host's name");
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket)
      throws CertificateException {
    throw new CertificateException("this is a client");
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
      throws CertificateException {
    throw new CertificateException("this is a client");
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String authType)
      throws CertificateException {
    throw new CertificateException("this is a client");
  }

  @Override
  public X509Certificate[] getAcceptedIssuers() {
    return new X509Certificate[0];
  }
}

package io.pluresdb.harness.check;

/** The invariants of the system that a simulation can violate. */
public enum Invariant {
  I1("the same operations give the same bytes"),
  I2("connected and quiet replicas become equal in bounded time"),
  I3("an acknowledged write survives crash and power loss"),
  I4("no operation is applied twice, and an (actor, seq) has one hash"),
  I5("whatever is visible, its dependencies are visible"),
  I6("a node reads its own writes, and its reads never go back"),
  I7("a batch takes effect as a whole or not at all"),
  I8("nothing deleted comes back without a concurrent or later write"),
  I9("of a removed device what was accepted counts, the same everywhere"),
  I10("hybrid time rises along every chain"),
  I11("queues are bounded"),
  I12("fingerprint equals rescan, state equals replay, count equals scan"),
  I13("nothing forged is taken, and nothing of an outsider"),
  I14("nothing is published before it is durable"),
  I15("a restored replica never goes on under its old actor"),
  I16("a faulty peer stops neither a replica nor the rest");

  private final String text;

  Invariant(String text) {
    this.text = text;
  }

  public String text() {
    return text;
  }
}

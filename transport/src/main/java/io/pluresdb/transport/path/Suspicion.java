package io.pluresdb.transport.path;

/**
 * Whether a path that was expected to answer has fallen silent: it is looked at in even steps,
 * asked at each, and suspect when nothing arrived in {@link #UNANSWERED} of them. A suspect path is
 * used on; it only gives way to any other that is up. Not thread-safe.
 */
public final class Suspicion {
  /** Steps without a sign of life. */
  public static final int UNANSWERED = 3;

  /** What a look shows. */
  public enum Verdict {
    /** Something arrived: nobody need look again before the next question. */
    HEARD,
    /** Nothing yet: ask, and look again. */
    ASK,
    /** Nothing for too long: take any other path; ask, and look again. */
    SUSPECT
  }

  private boolean watching;
  private long heardBefore;
  private int unanswered;

  /**
   * Something was sent that is answered by a living peer.
   *
   * @param heard counts whatever arrived
   * @return whether to begin to look; false when that is done already
   */
  public boolean begin(long heard) {
    if (watching) {
      return false;
    }
    watching = true;
    heardBefore = heard;
    unanswered = 0;
    return true;
  }

  /**
   * A step has passed.
   *
   * @param heard as for {@link #begin}
   */
  public Verdict look(long heard) {
    if (heard != heardBefore) {
      end();
      return Verdict.HEARD;
    }
    return ++unanswered >= UNANSWERED ? Verdict.SUSPECT : Verdict.ASK;
  }

  /** This side cannot judge now. */
  public void end() {
    watching = false;
  }
}

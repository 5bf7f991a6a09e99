package io.pluresdb.crdt.store;

/**
 * What one check of a database or device found.
 *
 * @param name of the check, lower case with hyphens
 * @param message what was looked at or what is wrong, in words
 * @param remediation what to do; empty when nothing needs to be done
 */
public record Finding(String name, Status status, String message, String remediation) {
  /** How serious it is. */
  public enum Status {
    OK("ok"),
    /** It works, and should be looked at. */
    WARNING("warning"),
    /** Something is broken. */
    ERROR("error"),
    /** The check says nothing about this database now. */
    NOT_APPLICABLE("not_applicable");

    private final String text;

    Status(String text) {
      this.text = text;
    }

    @Override
    public String toString() {
      return text;
    }
  }

  public static Finding ok(String name, String message) {
    return new Finding(name, Status.OK, message, "");
  }

  public static Finding warning(String name, String message, String remediation) {
    return new Finding(name, Status.WARNING, message, remediation);
  }

  public static Finding error(String name, String message, String remediation) {
    return new Finding(name, Status.ERROR, message, remediation);
  }

  public static Finding notApplicable(String name, String message) {
    return new Finding(name, Status.NOT_APPLICABLE, message, "");
  }
}

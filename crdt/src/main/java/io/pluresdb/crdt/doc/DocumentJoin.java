package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.doc.DocumentState.RegisterState;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.Register;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;

/**
 * Joins what two replicas hold of one document, without the changes it came from.
 *
 * <p>A dot stays when both hold it, or when one holds it and the other has never seen it; a dot
 * that one has seen and does not hold was removed there. So a removal needs no tombstone, and a
 * union would bring back what was removed (Almeida et al., Delta state replicated data types, 2018;
 * crdt.md).
 */
public final class DocumentJoin {
  private DocumentJoin() {}

  /**
   * The join of two states of a document.
   *
   * @param seenHere whether this replica has the change of a dot
   * @param seenThere whether the other has
   */
  public static DocumentState join(
      DocumentState here, Predicate<Dot> seenHere, DocumentState there, Predicate<Dot> seenThere) {
    var joined = new ArrayList<RegisterState>();
    List<RegisterState> mine = here.registers();
    List<RegisterState> theirs = there.registers();
    int i = 0;
    int j = 0;
    while (i < mine.size() || j < theirs.size()) {
      int order =
          i == mine.size()
              ? 1
              : j == theirs.size()
                  ? -1
                  : Arrays.compareUnsigned(mine.get(i).key(), theirs.get(j).key());
      byte[] key = order <= 0 ? mine.get(i).key() : theirs.get(j).key();
      List<Sibling> ours = order <= 0 ? mine.get(i++).siblings() : List.of();
      List<Sibling> others = order >= 0 ? theirs.get(j++).siblings() : List.of();
      List<Sibling> siblings = join(ours, seenHere, others, seenThere);
      if (!siblings.isEmpty()) {
        joined.add(new RegisterState(key, siblings));
      }
    }
    // What is in texts and lists is joined row by row; whoever does that corrects the sum.
    return new DocumentState(joined, here.sequenceSum());
  }

  private static List<Sibling> join(
      List<Sibling> mine, Predicate<Dot> seenHere, List<Sibling> theirs, Predicate<Dot> seenThere) {
    var joined = new ArrayList<Sibling>(mine.size());
    int i = 0;
    int j = 0;
    while (i < mine.size() || j < theirs.size()) {
      int order =
          i == mine.size()
              ? 1
              : j == theirs.size() ? -1 : mine.get(i).dot().compareTo(theirs.get(j).dot());
      if (order == 0) {
        joined.add(mine.get(i++));
        j++;
      } else if (order < 0) {
        Sibling sibling = mine.get(i++);
        if (!seenThere.test(sibling.dot())) {
          joined.add(sibling);
        }
      } else {
        Sibling sibling = theirs.get(j++);
        if (!seenHere.test(sibling.dot())) {
          joined.add(sibling);
        }
      }
    }
    return joined;
  }

  /**
   * Reads a row that another replica made, as strictly as if it were a change.
   *
   * @param seen whether the other replica has the change of a dot
   * @throws CodecException when it is not the canonical form of a state this version makes, or
   *     holds what its maker cannot have seen
   */
  public static DocumentState readForeign(byte[] row, Predicate<Dot> seen) {
    DocumentState state = DocumentState.read(row);
    if (state.isEmpty()) {
      throw new CodecException("a document without anything in it has no row");
    }
    byte[] last = {};
    for (RegisterState register : state.registers()) {
      Register.check(register.key());
      if (Arrays.compareUnsigned(last, register.key()) >= 0 || register.siblings().isEmpty()) {
        throw new CodecException("registers must ascend and hold something");
      }
      last = register.key();
      for (Sibling sibling : register.siblings()) {
        checkSibling(register, sibling);
        if (!seen.test(sibling.dot())) {
          throw new CodecException("a document holds a dot its maker has not seen");
        }
      }
    }
    // Order of siblings, contexts without use, two timestamps of one change.
    if (!Arrays.equals(state.toByteArray(), row)) {
      throw new CodecException("document row is not canonical");
    }
    return state;
  }

  private static void checkSibling(RegisterState register, Sibling sibling) {
    if (sibling.timestamp() < 0) {
      throw new CodecException("timestamp must be 0 or more");
    }
    if (Register.isSequence(register.key())) {
      if (sibling.value().length > 0) {
        throw new CodecException("the register of a text or list holds no value");
      }
    } else if (!sibling.isIncrement()) {
      ChangeBody.checkValue(register.key()[0], sibling.value());
    } else if (!register.isField() || !isIncrement(sibling.value())) {
      throw new CodecException("an increment is on no field or not a number");
    }
  }

  private static boolean isIncrement(byte[] value) {
    String text = new String(value, 1, value.length - 1, StandardCharsets.US_ASCII);
    try {
      long amount = Long.parseLong(text);
      return Long.toString(amount).equals(text)
          && amount >= -CrdtOperation.Increment.MAX_AMOUNT
          && amount <= CrdtOperation.Increment.MAX_AMOUNT;
    } catch (NumberFormatException e) {
      return false;
    }
  }
}

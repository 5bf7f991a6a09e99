package io.pluresdb.crdt.op;

import java.util.List;

/**
 * What one change does to one document.
 *
 * @param id UTF-8 of the document's id
 */
public record DocumentEdit(byte[] id, List<CrdtOperation> operations) {}

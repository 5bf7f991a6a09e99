/**
 * The query languages: SQL for rows, pipelines for documents, both over {@code DocumentQuery}.
 *
 * <p>Parsing is pure; {@code docs/reference/query.md} is what users read.
 */
@NullMarked
package io.pluresdb.daemon.query;

import org.jspecify.annotations.NullMarked;

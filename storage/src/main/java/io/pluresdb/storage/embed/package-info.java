/** Texts to embeddings, by models that run elsewhere. */
@NullMarked
package io.pluresdb.storage.embed;

import org.jspecify.annotations.NullMarked;

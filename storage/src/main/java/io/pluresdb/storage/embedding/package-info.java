/** What makes embeddings of texts; the only importer of ai.onnxruntime. */
@NullMarked
package io.pluresdb.storage.embedding;

import org.jspecify.annotations.NullMarked;

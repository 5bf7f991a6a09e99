package io.pluresdb.transport.session;

import java.util.concurrent.CompletionStage;

/**
 * A dialled path that came up.
 *
 * @param session what it carries, or would carry were it not for a better path
 * @param closure completes with why the path ended; the session may go on by another
 */
public record OpenPath(Session session, CompletionStage<CloseReason> closure) {}

package io.pluresdb.daemon.cli;

import java.io.InputStream;
import java.io.PrintStream;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Map;
import java.util.random.RandomGenerator;

/**
 * The world of one run of the command line; {@link Main} builds the real one.
 *
 * @param terminal whether standard error is a terminal: then it may show progress and colours
 * @param clock wall clock
 * @param random source of the API token; cryptographically strong
 * @param started when this process started
 */
record Io(
    InputStream in,
    PrintStream out,
    PrintStream err,
    Map<String, String> environment,
    boolean terminal,
    InstantSource clock,
    RandomGenerator random,
    Instant started) {}

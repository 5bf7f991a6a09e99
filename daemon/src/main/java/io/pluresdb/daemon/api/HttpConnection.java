package io.pluresdb.daemon.api;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseEncoder;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.util.AsciiString;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import io.pluresdb.daemon.access.AccessException;
import io.pluresdb.daemon.access.Caller;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.access.Throttle;
import io.pluresdb.daemon.access.Tokens;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One connection: a request, its answer, the next request. Everything is read on demand, one
 * message at a time, so a client that sends faster than it is answered waits in its own socket.
 * Fields belong to the event loop.
 */
// A write that fails closes its channel, which is where we learn of it.
@SuppressWarnings("FutureReturnValueIgnored")
final class HttpConnection extends ChannelInboundHandlerAdapter {
  /** Bodies up to here are handled on the event loop when the route does not wait. */
  private static final int PROMPT_BYTES = 64 << 10;

  /** Most of a refused body that is read and dropped so that the client gets to see the answer. */
  private static final long MAX_DISCARDED_BYTES = 16 << 20;

  private static final byte[] NO_BYTES = {};
  private static final String NOTHING_MORE = "";
  private static final String BEARER = "Bearer ";

  /** Characters without which a URI is what it says, and its query one parameter. */
  private static final String ENCODED = "%+&;#";

  // Constants of this kind know their hash, and are copied rather than encoded.
  private static final AsciiString CONTENT_TYPE_OPTIONS =
      AsciiString.cached("x-content-type-options");
  private static final AsciiString NO_SNIFFING = AsciiString.cached("nosniff");
  private static final List<AsciiString> READ_HEADERS =
      Request.HEADERS.stream().map(AsciiString::cached).toList();

  private static final Logger LOG = LoggerFactory.getLogger(HttpConnection.class);

  private final Api api;
  private final ApiOptions options;
  private final Tokens tokens;
  private final Throttle throttle;
  private final HeldBodies bodies;
  private final GatheredWrites writes;
  private final @Nullable Caller peer;
  private final @Nullable Origins origins;

  private @Nullable ChannelHandlerContext context;

  /** Encodes what is streamed; whole responses are written from here, past it. */
  private @Nullable ChannelHandlerContext encoder;

  private @Nullable Exchange exchange;

  /** The head of the next request, which came while this one is being answered. */
  private @Nullable HttpRequest held;

  /** What to do at {@link #deadlineNanos} unless it is put off before; null for nothing. */
  private @Nullable Runnable overdue;

  private long deadlineNanos;

  /**
   * Looks at the deadline, no later than it. Every request moves that twice: only a timer that
   * would come too late is moved with it.
   */
  private @Nullable Future<?> timer;

  private long timerNanos;

  /** The last {@code Authorization} that came, and the hash in it: the next one is the same. */
  private String authorization = "";

  private Tokens.@Nullable Sent sent;

  /** Messages decoded before they were asked for: at most what one read of the socket holds. */
  private final Deque<HttpObject> inbox = new ArrayDeque<>();

  private boolean wanted;
  private boolean delivering;

  /** Whether the socket is to be read already. */
  private boolean asked;

  /** Within one read of the socket: what is answered in it is sent at its end. */
  private boolean reading;

  private boolean unsent;
  private boolean draining;

  /** A request on its way and its answer. */
  private static final class Exchange {
    final HttpRequest head;
    final boolean keepAlive;
    String path = "";
    Map<String, String> query = Map.of();
    @Nullable Route route;
    Caller caller = Caller.NOBODY;
    boolean entered;
    @Nullable ByteBuf body;
    @Nullable BodyStream stream;
    @Nullable ChunkedSink sink;
    int limit;
    long held;
    long discarded;
    boolean received;
    boolean answered;
    boolean closing;

    Exchange(HttpRequest head) {
      this.head = head;
      keepAlive = HttpUtil.isKeepAlive(head);
    }
  }

  /**
   * @param peer who is at the other end of a Unix socket, or null over TCP
   * @param origins where requests over TCP may come from, or null on the Unix socket
   */
  HttpConnection(
      Api api,
      ApiOptions options,
      Tokens tokens,
      Throttle throttle,
      HeldBodies bodies,
      GatheredWrites writes,
      @Nullable Caller peer,
      @Nullable Origins origins) {
    this.api = api;
    this.options = options;
    this.tokens = tokens;
    this.throttle = throttle;
    this.bodies = bodies;
    this.writes = writes;
    this.peer = peer;
    this.origins = origins;
  }

  @Override
  public void channelActive(ChannelHandlerContext newContext) {
    context = newContext;
    encoder = newContext.pipeline().context(HttpResponseEncoder.class);
    schedule(options.headTimeout(), this::close);
    read();
  }

  @Override
  public void channelInactive(ChannelHandlerContext ignored) {
    overdue = null;
    if (timer != null) {
      timer.cancel(false);
      timer = null;
    }
    wanted = false;
    inbox.forEach(ReferenceCountUtil::release);
    inbox.clear();
    Exchange current = exchange;
    if (current != null) {
      leave(current);
      releaseBody(current);
      if (current.stream != null) {
        current.stream.fail();
      }
      if (current.sink != null) {
        current.sink.channelClosed();
      }
    }
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ignored) {
    if (exchange != null && exchange.sink != null) {
      exchange.sink.writabilityChanged();
    }
    deliver();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ignored, Throwable cause) {
    if (cause instanceof IOException) {
      LOG.debug("A connection broke. reason={}", cause.getMessage());
    } else {
      LOG.warn("A connection failed.", cause);
    }
    close();
  }

  /** Event loop: answers what is being answered, then closes; an endless answer is cut. */
  void drain() {
    draining = true;
    if (exchange == null
        || (exchange.sink != null && exchange.route != null && exchange.route.endless())) {
      close();
    }
  }

  @Override
  public void channelRead(ChannelHandlerContext ignored, Object message) {
    reading = true;
    inbox.add((HttpObject) message);
    deliver();
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ignored) {
    reading = false;
    asked = false;
    flush();
    deliver();
  }

  private void flush() {
    if (unsent) {
      unsent = false;
      context().flush();
    }
  }

  /** Asks for one more message. */
  private void read() {
    wanted = true;
    deliver();
  }

  /** Hands out what is wanted: a loop, not recursion, however many requests are pipelined. */
  private void deliver() {
    if (delivering) {
      return;
    }
    delivering = true;
    try {
      for (HttpObject next = inbox.peek(); wanted && next != null; next = inbox.peek()) {
        if (exchange == null && !isHeard()) {
          return;
        }
        inbox.remove();
        wanted = false;
        try {
          handle(next);
        } finally {
          ReferenceCountUtil.release(next);
        }
      }
    } finally {
      delivering = false;
    }
    if (wanted && !asked && !reading) {
      asked = true;
      context().read();
    }
  }

  /**
   * Whether the client takes its answers: while it does not, nothing more is answered, or what a
   * single read of requests asks for would be held in memory.
   */
  private boolean isHeard() {
    var channel = context().channel();
    if (!channel.isWritable()) {
      flush();
    }
    return channel.isWritable() || !channel.isActive();
  }

  private void handle(HttpObject message) {
    if (message.decoderResult().isFailure()) {
      malformed(message.decoderResult().cause());
    } else if (message instanceof HttpRequest head) {
      if (exchange == null) {
        begin(head);
      } else {
        held = head;
      }
    } else if (message instanceof HttpContent content && exchange != null) {
      receive(exchange, content);
    }
  }

  private void malformed(Throwable cause) {
    if (exchange != null && exchange.received) {
      // A pipelined request behind one that is still being answered: only that answer goes out.
      exchange.closing = true;
      return;
    }
    var current =
        exchange != null
            ? exchange
            : new Exchange(
                new io.netty.handler.codec.http.DefaultHttpRequest(
                    HttpVersion.HTTP_1_1, HttpMethod.GET, "/"));
    exchange = current;
    current.received = true;
    current.closing = true;
    releaseBody(current);
    if (current.stream != null) {
      current.stream.fail();
      return;
    }
    if (current.answered) {
      close();
      return;
    }
    refuse(
        current,
        switch (cause) {
          case TooLongHttpLineException e ->
              new ApiException(
                  414,
                  "API_URI_TOO_LONG",
                  "the request line must be at most " + HttpServer.MAX_LINE_BYTES + " bytes",
                  "send long values in a body");
          case TooLongHttpHeaderException e ->
              new ApiException(
                  431,
                  "API_HEADERS_TOO_LARGE",
                  "headers must be at most " + HttpServer.MAX_HEADER_BYTES + " bytes",
                  "send fewer or shorter headers");
          default ->
              new ApiException(
                  400,
                  "API_BAD_REQUEST",
                  "this is not a well-formed HTTP/1.1 request",
                  "see RFC 9112");
        });
  }

  private void begin(HttpRequest head) {
    var current = new Exchange(head);
    exchange = current;
    current.closing = !current.keepAlive || draining;
    try {
      open(current);
    } catch (Api.MethodNotAllowed e) {
      refuse(current, e.asApiException(), e.allowed());
    } catch (RuntimeException e) {
      refuse(current, ApiException.of(e));
    }
    if (!current.received && current.stream == null) {
      if (!(inbox.peek() instanceof LastHttpContent)) {
        schedule(options.bodyTimeout(), () -> bodyTimedOut(current));
      }
      read();
    }
  }

  private void open(Exchange current) {
    HttpHeaders headers = current.head.headers();
    decode(current, current.head.uri());
    String path = current.path;
    Map<String, String> query = current.query;
    if (origins != null) {
      origins.check(headers.get(HttpHeaderNames.HOST), headers.get(HttpHeaderNames.ORIGIN));
    }
    if (!api.isPublic(path)) {
      current.caller = caller(headers.get(HttpHeaderNames.AUTHORIZATION));
      throttle.enter(current.caller, System.nanoTime());
      current.entered = true;
    }
    Route route = api.route(current.head.method().name(), path, query);
    Api.authorize(current.caller, route, query);
    current.route = route;
    long length = HttpUtil.getContentLength(current.head, -1L);
    if (length > route.bodyBytes()) {
      current.closing = true;
      throw tooLarge(route);
    }
    if (HttpUtil.is100ContinueExpected(current.head)) {
      context()
          .writeAndFlush(
              new DefaultFullHttpResponse(
                  HttpVersion.HTTP_1_1, HttpResponseStatus.CONTINUE, Unpooled.EMPTY_BUFFER));
    }
    switch (route.handler()) {
      case Route.Handler.Prompt p -> current.limit = route.bodyBytes();
      case Route.Handler.Waiting w -> current.limit = route.bodyBytes();
      case Route.Handler.Reading reading -> {
        var channel = context().channel();
        var stream =
            new BodyStream(() -> channel.eventLoop().execute(this::read), options.bodyTimeout());
        current.stream = stream;
        cancelTimer();
        Request request = request(current, new Request.Body.Stream(stream));
        onThread(
            current,
            () -> {
              try (stream) {
                return reading.work().answer(request);
              }
            });
      }
    }
  }

  private static void decode(Exchange current, String uri) {
    int mark = uri.indexOf('?');
    boolean plain = true;
    for (int i = 0; plain && i < uri.length(); i++) {
      plain = ENCODED.indexOf(uri.charAt(i)) < 0;
    }
    if (plain && mark < 0) {
      current.path = uri;
      return;
    }
    int is = uri.indexOf('=', mark);
    if (plain && is > mark + 1 && uri.indexOf('?', mark + 1) < 0) {
      current.path = uri.substring(0, mark);
      current.query = Map.of(uri.substring(mark + 1, is), uri.substring(is + 1));
      return;
    }
    try {
      var decoder = new QueryStringDecoder(uri);
      current.path = decoder.path();
      current.query = query(decoder);
    } catch (IllegalArgumentException e) {
      throw new ApiException(
          400, "API_BAD_REQUEST", "the URI is malformed", "percent-encode paths and parameters");
    }
  }

  /** Who sent this: whose token it is, or who is at the other end of the Unix socket. */
  private Caller caller(@Nullable String given) {
    if (given == null) {
      if (peer != null) {
        return peer;
      }
      throw Tokens.unauthorized("the bearer token is missing");
    }
    if (!given.startsWith(BEARER)) {
      throw Tokens.unauthorized("Authorization must be \"Bearer TOKEN\"");
    }
    Tokens.Sent secret = sent;
    if (secret == null || !given.equals(authorization)) {
      secret = Tokens.Sent.of(given.substring(BEARER.length()));
      sent = secret;
      authorization = given;
    }
    // Asked every time: the token may have been revoked or have expired meanwhile.
    return tokens.caller(secret);
  }

  /** A request of the caller's is over. */
  private void leave(Exchange current) {
    bodies.release(current.held);
    current.held = 0;
    if (current.entered) {
      current.entered = false;
      throttle.leave(current.caller);
    }
  }

  private static ApiException tooLarge(Route route) {
    return ApiException.tooLarge(
        "the body of " + route.path(), route.bodyBytes(), "split it, or use /api/import");
  }

  private static Map<String, String> query(QueryStringDecoder uri) {
    var query = new HashMap<String, String>();
    for (Map.Entry<String, List<String>> parameter : uri.parameters().entrySet()) {
      if (parameter.getValue().size() != 1) {
        throw ApiException.invalid("parameter \"" + parameter.getKey() + "\" is given twice");
      }
      query.put(parameter.getKey(), parameter.getValue().getFirst());
    }
    return query;
  }

  private static Request request(Exchange exchange, Request.Body body) {
    Map<String, String> headers = Map.of();
    for (int i = 0; i < READ_HEADERS.size(); i++) {
      String value = exchange.head.headers().get(READ_HEADERS.get(i));
      if (value != null) {
        if (headers.isEmpty()) {
          headers = new HashMap<>();
        }
        headers.put(Request.HEADERS.get(i), value);
      }
    }
    return new Request(
        exchange.head.method().name(),
        exchange.path,
        exchange.query,
        headers,
        body,
        exchange.caller);
  }

  /** A part of the body. */
  private void receive(Exchange current, HttpContent content) {
    boolean last = content instanceof LastHttpContent;
    current.received = last;
    ByteBuf bytes = content.content();
    if (current.stream != null && current.stream.offer(bytes.retain(), last)) {
      // The reader asks for the next part when it has used this one up.
      if (last) {
        read();
      }
      return;
    }
    if (current.answered || current.route == null || current.stream != null) {
      discard(current, bytes.readableBytes());
      return;
    }
    int size = (current.body == null ? 0 : current.body.readableBytes()) + bytes.readableBytes();
    ApiException tooMuch = size > current.limit ? tooLarge(current.route) : hold(current, size);
    if (tooMuch != null) {
      releaseBody(current);
      current.closing = true;
      refuse(current, tooMuch);
      if (!last) {
        read();
      }
      return;
    }
    if (last && current.body == null) {
      dispatch(current, ByteBufUtil.getBytes(bytes));
      return;
    }
    if (bytes.isReadable()) {
      if (current.body == null) {
        current.body = context().alloc().buffer(bytes.readableBytes());
      }
      current.body.writeBytes(bytes);
    }
    if (last) {
      byte[] whole = ByteBufUtil.getBytes(current.body);
      releaseBody(current);
      dispatch(current, whole);
    } else {
      schedule(options.bodyTimeout(), () -> bodyTimedOut(current));
      read();
    }
  }

  /** Counts a body that grew; what it is refused with when too much is held already. */
  private @Nullable ApiException hold(Exchange current, int size) {
    try {
      current.held = bodies.hold(current.held, size);
      return null;
    } catch (AccessException e) {
      return ApiException.of(e);
    }
  }

  private void discard(Exchange current, int bytes) {
    current.discarded += bytes;
    if (current.received) {
      next(current);
    } else if (current.discarded > MAX_DISCARDED_BYTES) {
      close();
    } else {
      read();
    }
  }

  private void dispatch(Exchange current, byte[] bytes) {
    cancelTimer();
    Request request = request(current, new Request.Body.Bytes(bytes));
    Route route = current.route;
    if (route == null) {
      throw new IllegalStateException("a request without route was refused before");
    }
    switch (route.handler()) {
      case Route.Handler.Prompt(var promise) -> {
        if (bytes.length > PROMPT_BYTES) {
          onThread(current, () -> promise.answer(request).join());
        } else if (route.level() == Level.WRITE) {
          writes.add(() -> prompt(current, promise, request));
        } else {
          prompt(current, promise, request);
        }
      }
      case Route.Handler.Waiting(var work) -> onThread(current, () -> work.answer(request));
      case Route.Handler.Reading r -> throw new IllegalStateException("reads its own body");
    }
    if (exchange == current && !current.answered) {
      // Learns that the client went away, or takes in the head of a pipelined request.
      read();
    }
  }

  private void prompt(Exchange current, Route.Promise promise, Request request) {
    try {
      var future = promise.answer(request);
      if (future.isDone()) {
        whole(current, future.join());
      } else {
        future.whenComplete(
            (answer, failure) ->
                onLoop(
                    () -> {
                      if (failure == null) {
                        whole(current, answer);
                      } else {
                        refuse(current, ApiException.of(failure));
                      }
                    }));
      }
    } catch (RuntimeException e) {
      refuse(current, ApiException.of(e));
    }
  }

  private void whole(Exchange current, Answer answer) {
    switch (answer) {
      case Answer.Whole(byte[] json, String etag) ->
          respond(
              current,
              HttpResponseStatus.OK,
              json,
              etag.isEmpty() ? NOTHING_MORE : header(HttpHeaderNames.ETAG, etag));
      case Answer.Unchanged(String etag) ->
          respond(
              current,
              HttpResponseStatus.NOT_MODIFIED,
              NO_BYTES,
              header(HttpHeaderNames.ETAG, etag));
      case Answer.Streamed s -> throw new IllegalStateException("a prompt route streams nothing");
    }
  }

  @FunctionalInterface
  private interface Answering {
    Answer answer() throws IOException, InterruptedException;
  }

  /** Answers on a virtual thread, which may wait for disk, peers and the reader. */
  private void onThread(Exchange current, Answering answering) {
    Thread.ofVirtual()
        .name("api")
        .start(
            () -> {
              try {
                switch (answering.answer()) {
                  case Answer.Whole answer -> onLoop(() -> whole(current, answer));
                  case Answer.Unchanged answer -> onLoop(() -> whole(current, answer));
                  case Answer.Streamed(String type, Answer.Producer producer) ->
                      stream(current, type, producer);
                }
              } catch (IOException e) {
                LOG.debug("A request broke off. reason={}", e.getMessage());
                onLoop(this::close);
              } catch (InterruptedException e) {
                onLoop(this::close);
              } catch (RuntimeException e) {
                onLoop(() -> refuse(current, ApiException.of(e)));
              }
            });
  }

  private void stream(Exchange current, String type, Answer.Producer producer)
      throws IOException, InterruptedException {
    var sink =
        new ChunkedSink(
            context().channel(), () -> streamHead(current, type), options.bodyTimeout());
    onLoop(
        () -> {
          current.sink = sink;
          if (!context().channel().isActive()) {
            sink.channelClosed();
          }
        });
    try {
      producer.writeTo(sink);
      sink.flush();
      onLoop(
          () -> {
            context().writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT);
            answered(current);
          });
    } catch (RuntimeException e) {
      if (!sink.started()) {
        throw e;
      }
      // Too late for an error answer: the missing end of the body tells the client.
      LOG.warn("A streamed answer failed.", e);
      onLoop(this::close);
    } finally {
      sink.release();
    }
  }

  private HttpResponse streamHead(Exchange current, String type) {
    var head = new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK);
    headers(current, head.headers(), type);
    if (current.head.protocolVersion().equals(HttpVersion.HTTP_1_0)) {
      current.closing = true;
      head.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
    } else {
      head.headers().set(HttpHeaderNames.TRANSFER_ENCODING, HttpHeaderValues.CHUNKED);
    }
    return head;
  }

  private static void headers(Exchange current, HttpHeaders headers, CharSequence type) {
    headers.set(HttpHeaderNames.CONTENT_TYPE, type);
    headers.set(HttpHeaderNames.CACHE_CONTROL, HttpHeaderValues.NO_STORE);
    headers.set(CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    if (current.closing) {
      headers.set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
    } else if (current.head.protocolVersion().equals(HttpVersion.HTTP_1_0)) {
      headers.set(HttpHeaderNames.CONNECTION, HttpHeaderValues.KEEP_ALIVE);
    }
  }

  private void refuse(Exchange current, ApiException failure) {
    refuse(current, failure, null);
  }

  private void refuse(Exchange current, ApiException failure, @Nullable String allow) {
    String more = allow == null ? NOTHING_MORE : header(HttpHeaderNames.ALLOW, allow);
    if (failure.status() == 401) {
      more += header(HttpHeaderNames.WWW_AUTHENTICATE, "Bearer");
    }
    if (failure.retryAfterSeconds() > 0) {
      more += header(HttpHeaderNames.RETRY_AFTER, Long.toString(failure.retryAfterSeconds()));
    }
    if (failure.status() == 500) {
      LOG.warn("A request failed. code={}", failure.code(), failure);
    }
    if (failure.status() == 408) {
      current.closing = true;
    }
    respond(current, HttpResponseStatus.valueOf(failure.status()), failure.json(), more);
  }

  /** A line of a response's head; the value is one of ours, not of the client's. */
  private static String header(CharSequence name, String value) {
    return name + ": " + value + "\r\n";
  }

  private void respond(Exchange current, HttpResponseStatus status, byte[] json, String more) {
    if (current.answered) {
      return;
    }
    ChannelHandlerContext past = encoder;
    if (past == null) {
      throw new IllegalStateException("the connection is not active yet");
    }
    ByteBuf response =
        ResponseBytes.of(
            past.alloc(),
            status,
            connection(current),
            more,
            json,
            current.head.method().equals(HttpMethod.HEAD));
    if (reading) {
      unsent = true;
      past.write(response, past.voidPromise());
    } else {
      past.writeAndFlush(response, past.voidPromise());
    }
    answered(current);
  }

  private static ResponseBytes.Connection connection(Exchange current) {
    if (current.closing) {
      return ResponseBytes.Connection.CLOSED;
    }
    return current.head.protocolVersion().equals(HttpVersion.HTTP_1_0)
        ? ResponseBytes.Connection.KEPT
        : ResponseBytes.Connection.UNSAID;
  }

  private void answered(Exchange current) {
    leave(current);
    current.answered = true;
    current.sink = null;
    if (current.received) {
      next(current);
    } else if (current.stream != null) {
      // Its reader stopped asking; take in the rest so that the client sees the answer.
      schedule(options.bodyTimeout(), this::close);
      read();
    }
  }

  /** The request is over: its body is in and its answer is out. */
  private void next(Exchange current) {
    if (!current.answered || !current.received || exchange != current) {
      return;
    }
    cancelTimer();
    if (current.closing || draining) {
      context().writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
      return;
    }
    exchange = null;
    if (held != null) {
      inbox.addFirst(held);
      held = null;
    }
    if (inbox.isEmpty() || !context().channel().isWritable()) {
      schedule(options.idleTimeout(), this::close);
    }
    read();
  }

  private void bodyTimedOut(Exchange current) {
    if (current.answered) {
      close();
      return;
    }
    current.received = true;
    releaseBody(current);
    refuse(
        current,
        new ApiException(
            408,
            "API_REQUEST_TIMEOUT",
            "the body stood still for " + options.bodyTimeout().toMillis() + " ms",
            "send it without pauses"));
  }

  private void schedule(Duration after, Runnable action) {
    long now = System.nanoTime();
    overdue = action;
    deadlineNanos = now + after.toNanos();
    if (timer == null || timerNanos - deadlineNanos > 0) {
      startTimer(now);
    }
  }

  private void startTimer(long now) {
    if (timer != null) {
      timer.cancel(false);
    }
    timerNanos = deadlineNanos;
    timer =
        context()
            .executor()
            .schedule(this::lookAtDeadline, deadlineNanos - now, TimeUnit.NANOSECONDS);
  }

  private void lookAtDeadline() {
    timer = null;
    Runnable action = overdue;
    long now = System.nanoTime();
    if (action != null && deadlineNanos - now > 0) {
      startTimer(now);
    } else if (action != null) {
      overdue = null;
      action.run();
    }
  }

  private void cancelTimer() {
    overdue = null;
  }

  private void onLoop(Runnable action) {
    try {
      context().executor().execute(action);
    } catch (RejectedExecutionException e) {
      // The server has been closed, and every connection with it.
    }
  }

  private void close() {
    flush();
    context().close();
  }

  private static void releaseBody(Exchange current) {
    if (current.body != null) {
      current.body.release();
      current.body = null;
    }
  }

  private ChannelHandlerContext context() {
    ChannelHandlerContext present = context;
    if (present == null) {
      throw new IllegalStateException("the connection is not active yet");
    }
    return present;
  }
}

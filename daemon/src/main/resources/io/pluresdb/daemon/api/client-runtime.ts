import * as http from 'node:http';

/** Where a daemon is. */
export type Target = {socketPath: string} | {host?: string, port: number, token: string};

/** What any call takes besides its own. */
export type Options = {signal?: AbortSignal, headers?: Record<string, string>};

/** A refusal of the daemon. */
export class PluresDbError extends Error {
  constructor(
      readonly status: number, readonly code: string, message: string, readonly hint: string) {
    super(message);
    this.name = 'PluresDbError';
  }
}

type Query = Record<string, string | number | boolean | undefined>;
type Body = string | AsyncIterable<string> | undefined;

async function* lines(values: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield JSON.stringify(value) + '\n';
}

async function whole(stream: AsyncIterable<Uint8Array | string>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of stream) {
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, {stream: true});
  }
  return text + decoder.decode();
}

async function* split(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, {stream: true})).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}

/** Kept-alive connections to one daemon, over TCP or its Unix socket. */
export class Connection {
  private readonly agent = new http.Agent({keepAlive: true});

  constructor(private readonly target: Target) {}

  /** Ends the connections that are kept. */
  close(): void {
    this.agent.destroy();
  }

  private send(
      method: string, path: string, query: Query, body: Body, options: Options, accept: string):
      Promise<http.IncomingMessage> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    const headers: Record<string, string> = {accept, ...options.headers};
    const at: http.RequestOptions =
        'socketPath' in this.target ?
            {socketPath: this.target.socketPath} :
            {host: this.target.host ?? '127.0.0.1', port: this.target.port};
    if ('token' in this.target) headers['authorization'] = 'Bearer ' + this.target.token;
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      if (typeof body === 'string') headers['content-length'] = String(Buffer.byteLength(body));
    }
    return new Promise((resolve, reject) => {
      const request = http.request({
        ...at, method, headers, agent: this.agent, signal: options.signal,
        path: path + (given.length > 0 ? '?' + search : ''),
      });
      request.on('error', reject);
      request.on('response', (response) => {
        if ((response.statusCode ?? 500) < 300) {
          resolve(response);
        } else {
          whole(response).then((text) => {
            const error = JSON.parse(text).error;
            reject(new PluresDbError(
                response.statusCode ?? 500, error.code, error.message, error.hint));
          }).catch(reject);
        }
      });
      if (body === undefined || typeof body === 'string') {
        request.end(body);
      } else {
        (async () => {
          for await (const part of body) {
            if (!request.write(part)) await new Promise((drained) => request.once('drain', drained));
          }
          request.end();
        })().catch((failure) => request.destroy(failure));
      }
    });
  }

  protected async json<T>(
      method: string, path: string, query: Query, body: Body, options: Options): Promise<T> {
    return JSON.parse(
        await whole(await this.send(method, path, query, body, options, 'application/json')));
  }

  protected async text(
      method: string, path: string, query: Query, body: Body, options: Options): Promise<string> {
    return whole(await this.send(method, path, query, body, options, '*/*'));
  }

  protected async* items<T>(
      method: string, path: string, query: Query, body: Body, options: Options):
      AsyncGenerator<T> {
    const accept = 'application/x-ndjson';
    for await (const line of split(await this.send(method, path, query, body, options, accept))) {
      if (line !== '') yield JSON.parse(line);
    }
  }

  /** Pass the last id as `since` to go on where a stream broke off. */
  protected async* events<T>(
      method: string, path: string, query: Query, body: Body, options: Options):
      AsyncGenerator<{id?: string, data: T}> {
    let id: string | undefined;
    const accept = 'text/event-stream';
    for await (const line of split(await this.send(method, path, query, body, options, accept))) {
      if (line.startsWith('id: ')) id = line.slice(4);
      if (line.startsWith('data: ')) yield {id, data: JSON.parse(line.slice(6))};
    }
  }
}

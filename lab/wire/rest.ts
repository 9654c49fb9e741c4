import type { IncomingMessage } from 'node:http';

/** Requests of REST services name their operation by method and path. https://smithy.io/2.0/spec/http-bindings.html */

interface RestRequest {
  readonly operation: string;
  /** The members of path, query and body together, as JSON. */
  readonly body: string;
}

/** Undefined: the service has no such path. */
export function readRest(request: IncomingMessage, body: string, schemas: object): RestRequest | undefined {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  for (const [name, schema] of Object.entries(schemas)) {
    const [method, pattern] = httpOf(schema) ?? [];
    const labels = method === request.method && pattern !== undefined ? match(pattern, path) : undefined;
    if (labels === undefined) continue;
    const members = { ...Object.fromEntries(new URLSearchParams(query)), ...labels, ...(body === '' ? {} : JSON.parse(body)) };
    return { operation: name.slice(0, -1), body: JSON.stringify(members) };
  }
  return undefined;
}

/** `[method, path, status]` of an operation: `[9, namespace, name, { http }, input, output]`. */
function httpOf(schema: unknown): readonly string[] | undefined {
  const traits = Array.isArray(schema) && schema[0] === 9 ? (schema[3] as unknown) : undefined;
  return typeof traits === 'object' && traits !== null && 'http' in traits ? (traits.http as readonly string[]) : undefined;
}

function match(pattern: string, path: string): Record<string, string> | undefined {
  const names = [...pattern.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const found = new RegExp(`^${pattern.replace(/\{\w+\}/g, '([^/]+)')}$`).exec(path);
  return found === null ? undefined : Object.fromEntries(names.map((name, i) => [name, decodeURIComponent(found[i + 1] ?? '')]));
}

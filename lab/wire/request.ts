import type { IncomingMessage } from 'node:http';
import type { Service } from '../services.ts';
import { SERVICES } from '../services.ts';
import { readRest } from './rest.ts';
import { operationAt } from './rest-xml.ts';

/** The parts of an HTTP request that do not depend on the operation. */
export interface WireRequest {
  readonly serviceName: string;
  readonly service: Service | undefined;
  readonly operation: string;
  readonly region: string;
  /** Undefined: the request is not signed. */
  readonly accessKeyId: string | undefined;
  readonly token: string | undefined;
  /** User-Agent of the caller. */
  readonly client: string;
  readonly body: string;
  /** Protocol `rest`: what the path and the query of the address hold. */
  readonly labels: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

// The credential scope names service and region: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
const SCOPE = /Credential=([^/,\s]+)\/\d{8}\/([^/]+)\/([^/]+)\/aws4_request/;

/** Of the API of classic load balancers, which signs as `elasticloadbalancing`. */
const CLASSIC_VERSION = '2012-06-01';

const STS_VERSION = '2011-06-15';

export function toWireRequest(request: IncomingMessage, body: string, defaultRegion: string): WireRequest {
  const [, accessKeyId, region, signedFor] = SCOPE.exec(header(request, 'authorization') ?? '') ?? [];
  const [path = '', search = ''] = (request.url ?? '').split('?');
  const parameters = request.method === 'GET' ? search : body;
  const target = header(request, 'x-amz-target')?.split('.');
  const query = new URLSearchParams(target === undefined ? parameters : '');
  // AssumeRoleWithWebIdentity is not signed; its API version names the service.
  const serviceName = signedFor ?? (query.get('Version') === STS_VERSION ? 'sts' : 'unknown');
  const service = query.get('Version') === CLASSIC_VERSION ? SERVICES['classicbalancing'] : SERVICES[serviceName];
  const rest = service?.isRest === true ? readRest(request, body, service.schemas) : undefined;
  const restXml = service?.protocol === 'rest' ? operationAt(service.schemas, request.method ?? '', path) : undefined;
  return {
    serviceName,
    service,
    operation: rest?.operation ?? restXml?.operation ?? target?.[1] ?? query.get('Action') ?? '',
    labels: restXml?.labels ?? {},
    query: new URLSearchParams(search),
    region: region ?? defaultRegion,
    accessKeyId,
    token: header(request, 'x-amz-security-token'),
    client: header(request, 'user-agent') ?? '',
    body: rest?.body ?? (target === undefined && restXml === undefined ? parameters : body),
  };
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

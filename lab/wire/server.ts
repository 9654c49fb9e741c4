import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { CallRecord } from '../calls.ts';
import { ConnectionReset, LostAnswer, RawResponse } from '../fault-rules.ts';
import { denialOf, refuse } from '../iam/authorize.ts';
import { AwsError, type Call } from '../operation.ts';
import type { Core } from '../place.ts';
import type { Service } from '../services.ts';
import { accountOfRole } from '../sts.ts';
import { type Caller, callerOf } from '../sts-sessions.ts';
import { answerControl, type ServerDeps } from './control.ts';
import { type Answer, CODECS, type WireQuery } from './protocols.ts';
import { refusal } from './refusals.ts';
import { readBody, toWireRequest, type WireRequest } from './request.ts';
import { type Shapes, shapesOf } from './schemas.ts';

/** One endpoint for every service, account and region. */
export function serve(deps: ServerDeps): Server {
  const server = createServer((request, response) => {
    answer(deps, request).then(
      ({ status, type, body }) => response.writeHead(status, { 'content-type': type, 'x-amzn-requestid': randomUUID() }).end(body),
      (cause: unknown) => broken(cause, response),
    );
  });
  // A client that keeps a connection longer than the server gets ECONNRESET, which no test has requested.
  server.keepAliveTimeout = 120_000;
  return server;
}

function broken(cause: unknown, response: ServerResponse): void {
  if (!(cause instanceof ConnectionReset)) console.error('lab:', cause);
  response.socket?.resetAndDestroy();
}

async function answer(deps: ServerDeps, request: IncomingMessage): Promise<Answer> {
  const body = await readBody(request);
  if (request.url?.startsWith('/_lab') === true) return answerControl(deps, request, body);
  const asked = toWireRequest(request, body, deps.defaultRegion);
  const { service, operation } = asked;
  const wireQuery: WireQuery = {
    operation,
    namespace: service?.namespace ?? '',
    body: asked.body,
    requestId: randomUUID(),
    labels: asked.labels,
    query: asked.query,
  };
  const codec = CODECS[service?.protocol ?? 'query'];
  try {
    if (service === undefined) throw new AwsError('InvalidAction', `The lab has no service "${asked.serviceName}".`);
    const { shapes, output } = await perform(deps, asked, service, wireQuery);
    return codec.output(shapes, output, wireQuery);
  } catch (cause) {
    if (cause instanceof ConnectionReset) throw cause;
    if (cause instanceof RawResponse) return { type: 'text/html', ...cause.answer };
    return codec.error(cause instanceof AwsError ? cause : bug(cause), wireQuery);
  }
}

/** A bug of the lab. 400, because clients would retry a 500. */
function bug(cause: unknown): AwsError {
  console.error('lab:', cause);
  return new AwsError('LabBug', cause instanceof Error ? `${cause.message}\n${cause.stack}` : String(cause), 400);
}

async function perform(deps: ServerDeps, asked: WireRequest, service: Service, wireQuery: WireQuery) {
  const { core, calls, faults } = deps;
  const shapes = shapesOf(service.schemas, asked.operation);
  const { input, misread } = understand(service, shapes, wireQuery);
  const { call, problem = misread } = identify(core, asked, service, input);
  const { account, region } = call.place;
  const { serviceName, operation } = asked;
  const about = { service: serviceName, operation, client: asked.client, input: input as CallRecord['input'] };
  const entry = { ...about, account, region, arn: call.arn };
  const isArranged = deps.weather !== undefined && faults.concerns({ ...entry, at: core.clock.now(), number: 0, outcome: '...' });
  const weather = isArranged ? undefined : deps.weather;
  await weather?.before(about, service.protocol);
  const record = calls.open({ ...entry, at: core.clock.now() });
  try {
    if (problem !== undefined) throw problem;
    const work = service.operations[operation];
    if (shapes === undefined || work === undefined) throw notHere(serviceName, operation);
    const output = await faults.strike(record, service.protocol, async () => {
      refuse(await denialOf(call, serviceName, operation, input), service.protocol, call.arn);
      refuseDryRun(service, input);
      return work(input, { ...call, may: mayOf(call) });
    });
    const answered = weather?.after(about, output) ?? output;
    calls.close(record, 'ok');
    return { shapes, output: answered };
  } catch (cause) {
    calls.close(record, outcomeOf(cause));
    throw cause;
  }
}

/** `ec2:DeleteSnapshot` and its input -> whether the caller may. */
const mayOf =
  (call: Call): NonNullable<Call['may']> =>
  async (action, input) => {
    const [service = '', operation = ''] = action.split(':');
    return (await denialOf(call, service, operation, input)) === undefined;
  };

/** A request that cannot be parsed is refused after it is logged. */
function understand(service: Service, shapes: Shapes | undefined, wireQuery: WireQuery): { input: object; misread?: AwsError } {
  try {
    return { input: shapes === undefined ? {} : CODECS[service.protocol].input(shapes, wireQuery) };
  } catch (cause) {
    if (cause instanceof AwsError) return { input: {}, misread: cause };
    throw cause;
  }
}

function outcomeOf(cause: unknown): string {
  if (cause instanceof LostAnswer) return 'lost';
  if (cause instanceof ConnectionReset) return 'reset';
  if (cause instanceof RawResponse) return cause.message;
  return cause instanceof AwsError ? cause.code : 'LabBug';
}

/** A refused caller is logged under the account of its key or role, else as anonymous. */
function identify(core: Core, asked: WireRequest, service: Service, input: object): { call: Call; problem?: AwsError } {
  const at = ({ account, ...who }: Caller): Call => ({ ...who, client: asked.client, place: core.place(account, asked.region) });
  try {
    if (asked.accessKeyId !== undefined) return { call: at(callerOf(core, service.protocol, asked.accessKeyId, asked.token)) };
    if (asked.operation !== 'AssumeRoleWithWebIdentity') throw refusal('unsigned', service.protocol);
    return { call: at({ ...ANONYMOUS, account: accountOfRole((input as { RoleArn?: string }).RoleArn) }) };
  } catch (cause) {
    if (!(cause instanceof AwsError)) throw cause;
    return { call: at({ ...ANONYMOUS, accessKeyId: asked.accessKeyId ?? '' }), problem: cause };
  }
}

const ANONYMOUS: Caller = { account: '000000000000', accessKeyId: '', arn: 'anonymous', userId: 'anonymous' };

const notHere = (service: string, operation: string) =>
  new AwsError(
    'InvalidAction',
    `The action ${operation} is not valid for this web service. (The lab does not know ${service}:${operation}.)`,
  );

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html */
function refuseDryRun(service: Service, input: object): void {
  if (service.protocol !== 'ec2' || (input as { DryRun?: boolean }).DryRun !== true) return;
  throw new AwsError('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412);
}

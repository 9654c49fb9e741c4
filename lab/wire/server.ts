import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { CallRecord } from '../calls.ts';
import { ConnectionReset } from '../faults.ts';
import { AwsError, type Call } from '../operation.ts';
import type { Core } from '../place.ts';
import type { Service } from '../services.ts';
import { accountOfRole } from '../sts.ts';
import { type Caller, callerOf } from '../sts-sessions.ts';
import { answerControl, type Desk } from './control.ts';
import { type Answer, type Question, SPEECHES } from './protocols.ts';
import { refusal } from './refusals.ts';
import { readBody, type Wish, wishOf } from './request.ts';
import { type Shapes, shapesOf } from './schemas.ts';

/** One endpoint for every service, account and region. */
export function serve(desk: Desk): Server {
  const server = createServer((request, response) => {
    answer(desk, request).then(
      ({ status, type, body }) => response.writeHead(status, { 'content-type': type, 'x-amzn-requestid': randomUUID() }).end(body),
      (cause: unknown) => broken(cause, response),
    );
  });
  // A client that keeps a connection for longer than the server does meets ECONNRESET: no fault that anybody asked for.
  server.keepAliveTimeout = 120_000;
  return server;
}

function broken(cause: unknown, response: ServerResponse): void {
  if (!(cause instanceof ConnectionReset)) console.error('lab:', cause);
  response.socket?.resetAndDestroy();
}

async function answer(desk: Desk, request: IncomingMessage): Promise<Answer> {
  const body = await readBody(request);
  if (request.url?.startsWith('/_lab') === true) return answerControl(desk, request, body);
  const wish = wishOf(request, body, desk.defaultRegion);
  const { service, operation } = wish;
  const question: Question = { operation, namespace: service?.namespace ?? '', body: wish.body, requestId: randomUUID() };
  const speech = SPEECHES[service?.protocol ?? 'query'];
  try {
    if (service === undefined) throw new AwsError('InvalidAction', `The lab has no service "${wish.serviceName}".`);
    const { shapes, output } = await perform(desk, wish, service, question);
    return speech.output(shapes, output, question);
  } catch (cause) {
    if (cause instanceof ConnectionReset) throw cause;
    return speech.error(cause instanceof AwsError ? cause : bug(cause), question);
  }
}

/** A bug of the lab. 400 and not 500, so that no client retries it away. */
function bug(cause: unknown): AwsError {
  console.error('lab:', cause);
  return new AwsError('LabBug', cause instanceof Error ? `${cause.message}\n${cause.stack}` : String(cause), 400);
}

async function perform(desk: Desk, wish: Wish, service: Service, question: Question) {
  const { core, calls, faults } = desk;
  const shapes = shapesOf(service.schemas, wish.operation);
  const { input, misread } = understand(service, shapes, question);
  const { call, problem = misread } = identify(core, wish, service, input);
  const { account, region } = call.place;
  const { serviceName, operation } = wish;
  const record = calls.open({
    ...{ service: serviceName, operation, account, region, arn: call.arn, at: core.clock.now() },
    client: wish.client,
    input: input as CallRecord['input'],
  });
  try {
    if (problem !== undefined) throw problem;
    const work = service.operations[operation];
    if (shapes === undefined || work === undefined) throw notHere(serviceName, operation);
    const output = await faults.strike(record, service.protocol, async () => {
      refuseDryRun(service, input);
      return work(input, call);
    });
    calls.close(record, 'ok');
    return { shapes, output };
  } catch (cause) {
    calls.close(record, outcomeOf(cause));
    throw cause;
  }
}

/** What cannot be read is refused, but not before it stands in the log. */
function understand(service: Service, shapes: Shapes | undefined, question: Question): { input: object; misread?: AwsError } {
  try {
    return { input: shapes === undefined ? {} : SPEECHES[service.protocol].input(shapes, question) };
  } catch (cause) {
    if (cause instanceof AwsError) return { input: {}, misread: cause };
    throw cause;
  }
}

function outcomeOf(cause: unknown): string {
  if (cause instanceof ConnectionReset) return 'reset';
  return cause instanceof AwsError ? cause.code : 'LabBug';
}

/** Whoever is refused still stands in the log: as the account that the key or the role names, else as nobody. */
function identify(core: Core, wish: Wish, service: Service, input: object): { call: Call; problem?: AwsError } {
  const at = ({ account, ...who }: Caller): Call => ({ ...who, client: wish.client, place: core.place(account, wish.region) });
  try {
    if (wish.accessKeyId !== undefined) return { call: at(callerOf(core, service.protocol, wish.accessKeyId, wish.token)) };
    if (wish.operation !== 'AssumeRoleWithWebIdentity') throw refusal('unsigned', service.protocol);
    return { call: at({ ...NOBODY, account: accountOfRole((input as { RoleArn?: string }).RoleArn) }) };
  } catch (cause) {
    if (!(cause instanceof AwsError)) throw cause;
    return { call: at({ ...NOBODY, accessKeyId: wish.accessKeyId ?? '' }), problem: cause };
  }
}

const NOBODY: Caller = { account: '000000000000', accessKeyId: '', arn: 'anonymous', userId: 'anonymous' };

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

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { regionClients } from '../../src/adapters/aws/region-clients.ts';
import { systemClock } from '../../src/adapters/clock.ts';
import { type ActionError, UnreachableError } from '../../src/kit/errors.ts';
import { explain } from '../../src/kit/failure.ts';
import type { TemplateVersion } from '../../src/model/template.ts';
import type { RegionClients, Reporter, Run } from '../../src/ports/deps.ts';

/** Answers that are none of AWS's API, as proxies and half-broken servers give them. */
interface Answer {
  readonly status?: number;
  readonly body: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

let server: Server;
let answer: Answer;
let asked = 0;
const kept = { ...process.env };
beforeAll(async () => {
  server = createServer((_, response) => {
    asked += 1;
    const { status = 200, body, type = 'text/xml', headers = {} } = answer;
    response.writeHead(status, { 'content-type': type, ...headers }).end(body);
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  process.env['AWS_ENDPOINT_URL'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret' });
});
beforeEach(() => {
  asked = 0;
});
afterAll(() => {
  process.env = kept;
  server.close();
});

const aws = (): RegionClients =>
  regionClients({
    mode: 'list',
    roleToAssume: undefined,
    roleDuration: 3600,
    roleChaining: false,
    allowInstanceRole: false,
    clock: systemClock(new AbortController().signal),
    run: { id: '1', attempt: '1' } as Run,
    report: { warn: () => undefined, mask: () => undefined, debug: () => undefined } as unknown as Reporter,
  })({ region: 'eu-central-1' });

/** One reader for each protocol: EC2 query, AWS query, AWS JSON. */
const READERS = {
  images: () => aws().images.find({}),
  image: () => aws().images.get('ami-1'),
  groups: () => aws().groups.find({}),
  refreshes: () => aws().groups.refreshes('web'),
  parameters: () => aws().parameters.history('/ami/web/prod'),
} as const;

const failureOf = (read: () => Promise<unknown>): Promise<ActionError> =>
  read().then(
    value => {
      throw new Error(`it answered ${JSON.stringify(value)}`);
    },
    (failure: ActionError) => failure,
  );

const HTML = '<html><head><title>Login</title></head><body>Please log in</body></html>';
const XML = (inner: string) => `<?xml version="1.0"?><DescribeImagesResponse><requestId>r</requestId>${inner}</DescribeImagesResponse>`;

describe.each(Object.entries(READERS))('an answer to %s that cannot be read', (_, read) => {
  test.each<[string, Answer]>([
    ['a page with status 200', { body: HTML, type: 'text/html' }],
    ['no body', { body: '' }],
    ['cut XML', { body: '<?xml version="1.0"?><DescribeImagesResponse><imagesSet><item><imageId>ami-' }],
    ['cut JSON', { body: '{"Parameters": [{"Name": "/ami', type: 'application/x-amz-json-1.1' }],
    ['JSON of something else', { body: '{"ok": true}', type: 'application/json' }],
    ['a redirect', { status: 301, body: HTML, type: 'text/html', headers: { location: 'https://login.example.com/' } }],
    ["a proxy's 403", { status: 403, body: HTML, type: 'text/html' }],
    ["a proxy's 404", { status: 404, body: 'not found', type: 'text/plain' }],
    ["a proxy's 407", { status: 407, body: HTML, type: 'text/html' }],
    ["a proxy's 408", { status: 408, body: HTML, type: 'text/html' }],
    ["a proxy's 413", { status: 413, body: '', type: 'text/html' }],
  ])('because it is %s is no bug, and no refusal', async (__, bad) => {
    answer = bad;
    const failure = await failureOf(read);
    expect(failure).toBeInstanceOf(UnreachableError);
    expect(failure.message).toMatch(/^AWS's answer cannot be read \(/);
    expect(explain(failure)).not.toMatch(/bug|\$response|inspect the hidden field/);
  });
});

test.each(['', 'yesterday', '2026-13-45T99:99:99Z', '0000-00-00'])('a time that is %j is no bug', async time => {
  answer = {
    body: `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups><member><AutoScalingGroupName>web</AutoScalingGroupName><CreatedTime>${time}</CreatedTime></member></AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`,
  };
  const outcome = await READERS.groups().then(
    () => 'read',
    (failure: unknown) => (failure instanceof UnreachableError ? 'unreadable' : String(failure)),
  );
  expect(['read', 'unreadable']).toContain(outcome);
});

test('the same page token twice ends the listing as unreadable', async () => {
  answer = { body: XML('<imagesSet/><nextToken>again</nextToken>') };
  const failure = await failureOf(READERS.images);
  expect([failure instanceof UnreachableError, asked]).toEqual([true, 2]);
  expect(failure.message).toContain('the same page token twice');
});

test('an empty list is an answer, and a missing one is none', async () => {
  answer = { body: XML('<imagesSet/>') };
  expect(await READERS.images()).toEqual([]);
  answer = { body: XML('') };
  expect((await failureOf(READERS.images)).message).toMatch(/the list is missing|of Describe\w+ is missing/);
  answer = { body: '{"Parameters": []}', type: 'application/x-amz-json-1.1' };
  expect(await READERS.parameters()).toEqual([]);
  answer = { body: '{}', type: 'application/x-amz-json-1.1' };
  expect((await failureOf(READERS.parameters)).message).toMatch(/the list is missing|of Describe\w+ is missing/);
});

// Fuzz run "adopt emptied 19": it tagged an image without an ID, and was done.
test('an image without an ID, or with an empty one, makes the listing unreadable', async () => {
  for (const id of ['', '<imageId></imageId>', '<imageId/>']) {
    answer = { body: XML(`<imagesSet><item>${id}<name>web</name></item></imagesSet>`) };
    expect((await failureOf(READERS.images)).message).toContain('ImageId of an image is missing');
  }
});

test('a token answer without credentials is unreadable', async () => {
  answer = { body: '<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>' };
  const role = 'arn:aws:iam::444455556666:role/ami-delivery';
  const read = () =>
    regionClients({
      mode: 'list',
      roleToAssume: undefined,
      roleDuration: 3600,
      roleChaining: true,
      allowInstanceRole: false,
      clock: systemClock(new AbortController().signal),
      run: { id: '1', attempt: '1' } as Run,
      report: { warn: () => undefined, mask: () => undefined, debug: () => undefined } as unknown as Reporter,
    })({ region: 'eu-central-1', role }).images.find({});
  const failure = await failureOf(read);
  expect([failure instanceof UnreachableError, failure.message]).toEqual([
    true,
    `AWS's answer cannot be read (assume ${role}): it has no credentials`,
  ]);
});

const ec2Error = (code: string, message: string) =>
  `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>r</RequestID></Response>`;

test('a refusal names account and region, as far as they are known', async () => {
  answer = { status: 403, body: ec2Error('UnauthorizedOperation', 'You may not.') };
  expect((await failureOf(READERS.images)).message).toBe(
    'Not allowed to list images (ec2:DescribeImages): UnauthorizedOperation: You may not. (eu-central-1)',
  );
  answer = {
    status: 403,
    body: ec2Error('UnauthorizedOperation', 'User: arn:aws:sts::111122223333:assumed-role/ami/x is not authorized.'),
  };
  expect((await failureOf(READERS.images)).message).toMatch(/ \(account 111122223333, eu-central-1\)$/);
  answer = { status: 401, body: ec2Error('AuthFailure', 'AWS was not able to validate the provided access credentials') };
  expect((await failureOf(READERS.images)).next).toContain('enable-region --region-name eu-central-1');
});

test('a group whose deletion is repeated, because the first answer was lost, is deleted', async () => {
  const refused = (message: string) =>
    `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>${message}</Message></Error></ErrorResponse>`;
  const remove = () => aws().groups.remove('web', { force: false });
  answer = { status: 400, body: refused("AutoScalingGroup name not found - AutoScalingGroup 'web' not found") };
  expect(await remove()).toBeUndefined();
  answer = { status: 400, body: refused('The Auto Scaling group web has deletion protection enabled') };
  expect((await failureOf(remove)).outcome).toBe('rejected');
});

test('a template version that reads a deleted parameter resolves to no image, and every other refusal is one', async () => {
  const resolve = () => aws().launchTemplates.resolved({ templateId: 'lt-1', number: 1 } as TemplateVersion);
  const missing = "Invalid value 'resolve:ssm:/ami/web/stage' for imageId. The Systems Manager parameter does not exist.";
  answer = { status: 400, body: ec2Error('InvalidParameterValue', missing) };
  expect(await resolve()).toBeUndefined();
  answer = { status: 400, body: ec2Error('InvalidParameterValue', 'Value (200) for parameter MaxResults is invalid.') };
  expect((await failureOf(resolve)).outcome).toBe('rejected');
});

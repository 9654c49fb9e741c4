import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { describe, expect, test } from '@jest/globals';
import { retryContention, retryTags } from '../../src/adapters/aws/contention.ts';
import { groupCopies } from '../../src/adapters/aws/group-copy.ts';
import { ec2Images } from '../../src/adapters/aws/images.ts';

/** Minor m3: one other change of a group is no reason to end a rollout. */

async function refusing(code: string, times: number) {
  let asked = 0;
  const cause = `<Error><Type>Sender</Type><Code>${code}</Code><Message>busy</Message></Error>`;
  // Auto Scaling's form of an error, and EC2's.
  const error = `<ErrorResponse>${cause}<Errors>${cause}</Errors></ErrorResponse>`;
  const server = createServer((_, response) => {
    asked += 1;
    const refused = asked <= times;
    response.writeHead(refused ? 400 : 200, { 'content-type': 'text/xml' });
    response.end(refused ? error : '<UpdateAutoScalingGroupResponse/>');
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const settings = { endpoint, region: 'eu-central-1', credentials: { accessKeyId: 'A', secretAccessKey: 'B' } };
  const [client, ec2] = [new AutoScalingClient(settings), new EC2Client(settings)];
  retryContention(client);
  retryTags(ec2);
  return { port: groupCopies(client), images: ec2Images(ec2), asked: () => asked, close: () => server.close() };
}

test.each(['ResourceContention', 'ScalingActivityInProgress'])('%s is asked again', async code => {
  const { port, asked, close } = await refusing(code, 1);
  await port.resize('web', { desired: 2 });
  close();
  expect(asked()).toBe(2);
});

test('a quota is not', async () => {
  const { port, asked, close } = await refusing('LimitExceeded', 1);
  await expect(port.resize('web', { desired: 2 })).rejects.toThrow('Auto Scaling was too busy to resize web');
  close();
  expect(asked()).toBe(1);
});

describe('tags of an image that EC2 does not show yet', () => {
  test.each(['InvalidAMIID.NotFound', 'InvalidSnapshot.NotFound'])('%s is asked again', async code => {
    const { images, asked, close } = await refusing(code, 1);
    await images.tag(['ami-1', 'snap-1'], { a: 'b' });
    close();
    expect(asked()).toBe(2);
  });

  test('another call is not', async () => {
    const { images, asked, close } = await refusing('InvalidAMIID.NotFound', 1);
    expect([await images.get('ami-1'), asked()]).toEqual([undefined, 1]);
    close();
  });
});

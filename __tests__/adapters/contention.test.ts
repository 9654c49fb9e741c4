import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { expect, test } from '@jest/globals';
import { retryContention } from '../../src/adapters/aws/contention.ts';
import { groupCopies } from '../../src/adapters/aws/group-copy.ts';

/** Minor m3: one other change of a group is no reason to end a rollout. */

async function refusing(code: string, times: number) {
  let asked = 0;
  const error = `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>busy</Message></Error></ErrorResponse>`;
  const server = createServer((_, response) => {
    asked += 1;
    const refused = asked <= times;
    response.writeHead(refused ? 400 : 200, { 'content-type': 'text/xml' });
    response.end(refused ? error : '<UpdateAutoScalingGroupResponse/>');
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new AutoScalingClient({ endpoint, region: 'eu-central-1', credentials: { accessKeyId: 'A', secretAccessKey: 'B' } });
  retryContention(client);
  return { port: groupCopies(client), asked: () => asked, close: () => server.close() };
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

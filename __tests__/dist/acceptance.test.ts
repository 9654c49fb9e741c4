import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateKeyPairCommand, EC2Client } from '@aws-sdk/client-ec2';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { expect, test } from '@jest/globals';
import { type Lab, type LabOptions, startLab } from '../../lab/lab.ts';
import { ACCOUNT, acceptance, inventory, ROOT, type Suite } from './acceptance-lab.ts';
import { describeWithPacker } from './build-lab.ts';
import { tokens } from './github.ts';

/** The acceptance suite of a real account, on the lab. AMI_ACTION_ACCEPTANCE_KILLS sets how often it is killed. */

/** Calls after which it is killed, in the order of a run; the last one is in the removal of what an earlier run left. */
const KILLS = [
  ['CreateStack', 1],
  ['RunInstances', 1],
  ['CreateImage', 1],
  ['RunInstances', 2],
  ['CopyImage', 1],
  ['CreateLoadBalancer', 1],
  ['CreateAutoScalingGroup', 2],
  ['StartInstanceRefresh', 1],
  ['RollbackInstanceRefresh', 1],
  ['DeleteLaunchTemplate', 1],
] as const;
const WANTED = Number(process.env['AMI_ACTION_ACCEPTANCE_KILLS'] ?? 3);

/** A test in a lab of its own, in which an account has things of others that look like ours. It gets the inventory of before. */
const inAccount = (options: LabOptions, tell: (lab: Lab, before: readonly string[]) => Promise<void>) => async () => {
  // Its refreshes last long enough to be seen also on a busy machine.
  const lab = await startLab({ speed: 60, ...options });
  const environment = aws(lab);
  const settings = {
    ...{ endpoint: lab.url, region: 'us-east-1' },
    credentials: { accessKeyId: environment['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: 'x' },
  };
  const Tags = [
    { Key: 'ami-action:repository', Value: 'acme/web' },
    { Key: 'ami-action:family', Value: 'ami-acceptance' },
  ];
  try {
    await new EC2Client(settings).send(
      new CreateKeyPairCommand({ KeyName: 'ami-acceptance', TagSpecifications: [{ ResourceType: 'key-pair', Tags }] }),
    );
    await new SSMClient(settings).send(new PutParameterCommand({ Name: '/ami-action-acceptance2/x', Value: 'x', Type: 'String' }));
    await tell(lab, inventory(lab));
  } finally {
    await lab.close();
  }
};

const aws = (lab: Lab) => lab.environment({ region: 'us-east-1' });
const stepsOf = ({ report, log }: Suite) => report?.steps.filter(({ result }) => result !== 'ok') ?? log;

// At once: they wait for their labs.
describeWithPacker('the acceptance suite', () => {
  test.concurrent(
    'passes on the lab as it runs on GitHub, with the roles of the templates, answers every point, and leaves nothing',
    inAccount({ weather: 'good' }, async lab => {
      const parameters = { Subject: 'repo:acme/web', RepositoryId: '456789' };
      lab.deploy(readFileSync(join(ROOT, 'acceptance', 'role.yml'), 'utf8'), { stack: 'ami-acceptance-role', parameters });
      const before = inventory(lab);
      const job = await tokens('repo:acme/web:environment:acceptance');
      const ran = await acceptance(
        { ...aws(lab), AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' },
        { env: job.env, args: ['--role', `arn:aws:iam::${ACCOUNT}:role/ami-acceptance-role`] },
      ).finally(() => job.close());
      expect(stepsOf(ran)).toEqual([]);
      expect([ran.report?.answers.filter(({ asAssumed }) => !asAssumed), ran.report?.left]).toEqual([[], []]);
      expect(ran.report?.cost.dollars).toBeGreaterThan(0);
      expect(inventory(lab)).toEqual(before);
      expect(ran.exitCode).toBe(0);
    }),
    600_000,
  );

  test.concurrent(
    'passes in bad weather, and leaves nothing',
    inAccount({ weather: 7 }, async (lab, before) => {
      const ran = await acceptance(aws(lab));
      expect(stepsOf(ran)).toEqual([]);
      expect(inventory(lab)).toEqual(before);
      expect(ran.exitCode).toBe(0);
    }),
    900_000,
  );

  test.concurrent(
    'killed again and again, each time further on: the next run removes what it left, and the last one leaves nothing',
    inAccount({}, async (lab, before) => {
      const points = KILLS.filter((_, i) => i % Math.max(1, Math.floor(KILLS.length / WANTED)) === 0);
      for (const [operation, nth] of points) {
        let kill = () => {};
        const disarm = lab.faults.add({ operation, nth, action: { kill: () => kill(), at: 'after' } });
        const ran = await acceptance(aws(lab), {
          onStart: end => {
            kill = end;
          },
        });
        disarm();
        expect([operation, ran.signal, ran.report?.steps]).toEqual([operation, 'SIGKILL', undefined]);
        expect([operation, inventory(lab).length > before.length]).toEqual([operation, true]);
      }
      const last = await acceptance(aws(lab), { args: ['--remove-only'] });
      expect(last.report?.foundAtStart).not.toEqual([]);
      expect([last.exitCode, last.report?.left, inventory(lab)]).toEqual([0, [], before]);
    }),
    3_600_000,
  );

  test.concurrent(
    'refuses the credentials of another account before any change',
    inAccount({}, async (lab, before) => {
      const ran = await acceptance(lab.environment({ account: '444455556666', region: 'us-east-1' }));
      expect(ran.log).toBe('The credentials are of account 444455556666, must be of 111122223333. No changes were made.\n');
      expect([ran.exitCode, inventory(lab)]).toEqual([2, before]);
      expect(lab.calls.count('GetCallerIdentity')).toBe(1);
    }),
  );
});

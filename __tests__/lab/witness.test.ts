import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { startLab } from '../../lab/lab.ts';
import { type Answers, type Difference, differences, evaluate, type KnownDifference } from './witness/differences.ts';
import { findWitnesses, type Moto, recordAnswers, startMoto } from './witness/witnesses.ts';

// Clients and an AWS emulator that others wrote, against the lab. An AWS document must decide every difference.

const witnesses = await findWitnesses();
const isRequired = process.env.AMI_ACTION_REQUIRE_ALL === '1';
if ('missing' in witnesses)
  console.warn(`!!! The outside witnesses of the lab are ${isRequired ? 'required' : 'skipped'}: ${witnesses.missing}`);
const witnessed = 'missing' in witnesses && !isRequired ? test.skip : test;

const python = (): string => {
  if ('missing' in witnesses) throw new Error(`The outside witnesses of the lab are required here: ${witnesses.missing}`);
  return witnesses.python;
};

const known: readonly KnownDifference[] = JSON.parse(readFileSync(join(import.meta.dirname, 'witness', 'known-differences.json'), 'utf8'));

/** The account of moto. */
const ACCOUNT = '123456789012';

async function labAnswers(story: string, machines: 'sandbox' | 'paper'): Promise<Answers> {
  const lab = await startLab({ machines, speed: machines === 'paper' ? 600 : 60, hostManagement: true });
  try {
    return await recordAnswers(python(), story, lab.environment({ account: ACCOUNT }));
  } finally {
    await lab.close();
  }
}

const answer = (story: Answers, step: string): unknown => story[step]?.answer;

describe('boto3 in the lab', () => {
  witnessed('makes an image of a machine on which its command really ran', async () => {
    const story = await labAnswers('machine', 'sandbox');
    expect(answer(story, 'install')).toMatchObject({
      ...{ Status: 'Success', ResponseCode: 0, PluginName: 'aws:runShellScript' },
      ...{ StandardOutputContent: '0\n', StandardErrorContent: 'written to stderr\n' },
    });
    expect(answer(story, 'fail')).toMatchObject({
      ...{ Status: 'Failed', ResponseCode: 7, StandardOutputContent: 'before\n' },
      StandardErrorContent: 'failed to run commands: exit status 7',
    });
    expect(answer(story, 'another interpreter')).toMatchObject({ Status: 'Failed', StandardOutputContent: '/usr/bin\nhome: none\n' });
    expect(answer(story, 'look')).toMatchObject({ Status: 'Success', StandardOutputContent: 'baked\n' });
    expect(answer(story, 'command for what is gone')).toEqual({ Error: 'InvalidInstanceId' });
    expect(answer(story, 'pointer')).toMatchObject({ Parameter: { Value: '<image>', DataType: 'aws:ec2:image', Version: 1 } });
  });
});

describe('moto and the lab', () => {
  const found: Difference[] = [];
  const heard = new Set<string>();
  let moto: Promise<Moto> | undefined;
  afterAll(async () => (await moto)?.[Symbol.asyncDispose]());

  witnessed.each([
    ['parameters', 40],
    ['images', 50],
    ['groups', 30],
  ])('agree on %s, except where a document decides', async (name, least) => {
    moto ??= startMoto(python());
    const { url } = await moto;
    const credentials = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'of-moto', AWS_REGION: 'eu-central-1' };
    const [ours, theirs] = await Promise.all([
      labAnswers(name, 'paper'),
      recordAnswers(python(), name, { ...credentials, AWS_ENDPOINT_URL: url }),
    ]);
    expect(Object.keys(ours).length).toBeGreaterThanOrEqual(least);
    expect(Object.keys(theirs)).toEqual(Object.keys(ours));
    const differing = differences(ours, theirs);
    found.push(...differing);
    heard.add(name);
    expect(evaluate(differing, known).unlisted).toEqual([]);
  });

  witnessed('differ in everything that is listed: what has become true is taken off', () => {
    if (heard.size === 3) expect(evaluate(found, known).stale).toEqual([]);
  });

  test('need a document for every difference', () => {
    for (const { reason, document } of known) {
      expect(reason).toMatch(/\.$/);
      expect(document).toMatch(/^https:\/\/docs\.aws\.amazon\.com\/.+/);
    }
  });
});

describe('the comparison', () => {
  const of = (value: unknown): Answers => ({ look: { operation: 'ec2:look', answer: value } });
  const one: KnownDifference = { step: 'look', paths: ['A[].B'], lab: '1', moto: 'absent', reason: '', document: '' };

  test('finds a value, a member and an element that differ, and nothing else', () => {
    const lab = of({ A: [{ B: 1, C: 'same' }], D: [1], E: 'ours' });
    const moto = of({ A: [{ C: 'same' }], D: [1, 2], E: 'theirs' });
    expect(differences(lab, moto)).toEqual([
      { step: 'look', path: 'A[].B', lab: '1', moto: undefined },
      { step: 'look', path: 'D', lab: '[1]', moto: '[1,2]' },
      { step: 'look', path: 'E', lab: '"ours"', moto: '"theirs"' },
    ]);
    expect(differences(lab, lab)).toEqual([]);
  });

  test('fails for an unlisted difference, a different one, and a listed one that does not occur', () => {
    const differing = differences(of({ A: [{ B: 1 }] }), of({ A: [{}] }));
    expect(evaluate(differing, [one])).toEqual({ unlisted: [], stale: [] });
    expect(evaluate(differing, []).unlisted).toHaveLength(1);
    expect(evaluate(differing, [{ ...one, lab: '2' }]).unlisted).toHaveLength(1);
    expect(evaluate([], [one]).stale).toEqual([one]);
  });

  test('distinguishes an error from an answer', () => {
    expect(differences(of({ Error: 'InvalidAMIID.NotFound' }), of({ Images: [] }))).toHaveLength(2);
  });
});

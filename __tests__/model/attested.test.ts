import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { manifestFiles, statementOf, statementText } from '../../src/model/attested.ts';
import { shortHash, verdictValue } from '../../src/model/verdict.ts';
import { image } from '../rollout/roll-world.ts';

const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
const checks = shortHash('checks of web');
const ID = 'ami-0123456789abcdef0';
const tags = {
  'ami-action:family': 'web',
  'ami-action:fingerprint': 'f1',
  'ami-action:commit': 'c1',
  'ami-action:base-ami': 'ami-base',
  'ami-action:verdict': verdictValue(ID, { result: 'passed', checks, at: new Date('2026-05-01T12:00:00Z') }),
};
const attested = { ...image(ID), ownerId: '111122223333', snapshotIds: ['snap-2', 'snap-1'], tags };

// A change of this text makes every attestation void.
test('the signed text has everything that a promotion relies on, in one order', () => {
  const statement = statementOf(attested, 'eu-central-1', scheme);
  const text = `{"account":"111122223333","region":"eu-central-1","image":"${ID}","snapshots":["snap-1","snap-2"],"family":"web","fingerprint":"f1","commit":"c1","base":"ami-base","verdict":"passed","checks":"${checks}"}\n`;
  expect(statement && statementText(statement)).toBe(text);
  const digest = createHash('sha256').update(text).digest('hex');
  expect(manifestFiles(statement === undefined ? [] : [statement])).toEqual({
    manifest: `${JSON.stringify({ images: [statement] }, null, 2)}\n`,
    subjects: `${digest}  ${ID}\n`,
  });
});

test('what an image lacks is empty in the text, and without a verdict there is none', () => {
  const { 'ami-action:verdict': verdict } = tags;
  expect(statementOf({ ...attested, tags: { 'ami-action:verdict': verdict } }, 'eu-central-1', scheme)).toMatchObject({
    ...{ family: '', fingerprint: '', commit: '', base: '', verdict: 'passed' },
  });
  expect(statementOf({ ...attested, tags: {} }, 'eu-central-1', scheme)).toBeUndefined();
});

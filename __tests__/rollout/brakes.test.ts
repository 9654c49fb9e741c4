import { describe, expect, test } from '@jest/globals';
import { UsageError } from '../../src/kit/errors.ts';
import { run as promote } from '../../src/rollout/promote.ts';
import { run as rollback } from '../../src/rollout/rollback.ts';
import { type Brakes, closedBy, parseWindow, type Window } from '../../src/rollout/rules/brakes.ts';
import { A, B, C, failureOf, group, image, parameter, rollWorld, settings } from './roll-world.ts';

const at = (text: string) => Date.parse(text);
const closed = (brakes: { freeze?: string; windows?: readonly string[] }, now: string) => {
  const windows = (brakes.windows ?? []).map(text => parseWindow(text) as Window);
  const freeze: Brakes['freeze'] = brakes.freeze === undefined ? undefined : { name: '/ami/freeze', value: brakes.freeze };
  const found = closedBy({ freeze, windows }, 'prod', at(now));
  return found === undefined ? 'open' : [found.reasons.join(' + '), found.opensAt?.toISOString()];
};

describe('windows', () => {
  // 30 November 2026 is a Monday; Berlin is at +01:00, in July at +02:00.
  test.each([
    ['Mon-Fri 09:00-16:00 Europe/Berlin', '2026-11-30T08:00:00Z', 'open'],
    ['Mon-Fri 09:00-16:00 Europe/Berlin', '2026-11-30T07:59:59Z', '2026-11-30T08:00:00.000Z'],
    ['Mon-Fri 09:00-16:00 Europe/Berlin', '2026-11-30T15:00:00Z', '2026-12-01T08:00:00.000Z'],
    ['Mon-Fri 09:00-16:00 Europe/Berlin', '2026-12-04T15:00:00Z', '2026-12-07T08:00:00.000Z'],
    ['Mon-Fri 09:00-16:00 Europe/Berlin', '2026-07-06T06:59:00Z', '2026-07-06T07:00:00.000Z'],
    ['Sun 22:00-04:00 UTC', '2026-11-30T03:59:00Z', 'open'],
    ['Sun 22:00-04:00 UTC', '2026-11-30T04:00:00Z', '2026-12-06T22:00:00.000Z'],
    ['Fri-Mon 00:00-24:00 UTC', '2026-11-29T12:00:00Z', 'open'],
    ['Fri-Mon 00:00-24:00 UTC', '2026-12-01T00:00:00Z', '2026-12-04T00:00:00.000Z'],
    ['09:00-10:00 UTC', '2026-11-29T09:30:00Z', 'open'],
    // The hour that the change to summer time leaves out.
    ['Sun 02:15-02:45 Europe/Berlin', '2026-03-28T12:00:00Z', '2026-04-05T00:15:00.000Z'],
  ])('%s at %s: %s', (window, now, opens) => {
    const found = closed({ windows: [window] }, now);
    expect(found === 'open' ? found : found[1]).toBe(opens);
  });

  test('of several, the next one counts', () => {
    expect(closed({ windows: ['Mon 09:00-10:00 UTC', 'Mon 12:00-13:00 UTC'] }, '2026-11-30T10:30:00Z')).toEqual([
      'prod is closed now: "windows" allows Mon 09:00-10:00 UTC, Mon 12:00-13:00 UTC. It opens at 2026-11-30T12:00Z',
      '2026-11-30T12:00:00.000Z',
    ]);
  });

  test('of several, one that is open is enough, now and when a freeze ends', () => {
    const windows = ['Mon 09:00-10:00 UTC', 'Mon 12:00-13:00 UTC'];
    expect(closed({ windows }, '2026-11-30T09:30:00Z')).toBe('open');
    expect(closed({ windows, freeze: 'until: 2026-11-30T12:30:30Z' }, '2026-11-30T09:30:00Z')[1]).toBe('2026-11-30T12:30:30.000Z');
  });

  test('one that ends when it begins is open for a day', () => {
    expect(closed({ windows: ['Mon 09:00-09:00 UTC'] }, '2026-11-30T10:00:00Z')).toBe('open');
    expect(closed({ windows: ['Mon 09:00-09:00 UTC'] }, '2026-12-01T08:59:00Z')).toBe('open');
    expect(closed({ windows: ['Mon 09:00-09:00 UTC'] }, '2026-12-01T09:00:00Z')[1]).toBe('2026-12-07T09:00:00.000Z');
  });

  test('one that does not open within eight days', () => {
    // The next Sunday has no 02:15.
    expect(closed({ windows: ['Sun 02:15-02:45 Europe/Berlin'] }, '2026-03-22T01:45:00Z')).toEqual([
      'prod is closed now: "windows" allows Sun 02:15-02:45 Europe/Berlin. No time is known at which it opens',
      undefined,
    ]);
  });

  test.each([
    'Mon-Fri',
    'Xyz-Mon 09:00-16:00 UTC',
    'Mon-Xyz 09:00-16:00 UTC',
    '',
    '9:00-16:00 UTC',
    'Mon-Fri 09:00-16:00',
    'Mon-Fri 09:00-16:00 Europe/Berlim',
    'Mo-Fr 09:00-16:00 UTC',
    'Mon 25:00-26:00 UTC',
  ])('%s is none', text => expect(parseWindow(text)).toBeUndefined());
});

describe('a freeze', () => {
  test.each([
    ['Black Friday', '2026-11-30T08:00:00Z', 'until the parameter is deleted: Black Friday. No time is known at which it opens', undefined],
    [' \n', '2026-11-30T08:00:00Z', 'until the parameter is deleted: no reason given. No time is known at which it opens', undefined],
    [' Audit ', '2026-11-30T08:00:00Z', 'until the parameter is deleted: Audit. No time is known at which it opens', undefined],
    ['reason: 007', '2026-11-30T08:00:00Z', 'until the parameter is deleted: 007. No time is known at which it opens', undefined],
    ['who: Ops', '2026-11-30T08:00:00Z', 'until the parameter is deleted: who: Ops. No time is known at which it opens', undefined],
    ['[reason]', '2026-11-30T08:00:00Z', 'until the parameter is deleted: [reason]. No time is known at which it opens', undefined],
    ['~', '2026-11-30T08:00:00Z', 'until the parameter is deleted: ~. No time is known at which it opens', undefined],
    ['', '2026-11-30T08:00:00Z', 'until the parameter is deleted: no reason given. No time is known at which it opens', undefined],
    [
      'reason: Black Friday\nuntil: 2026-12-01T08:00:00Z',
      '2026-11-30T08:00:00Z',
      'until 2026-12-01T08:00Z: Black Friday. It opens at 2026-12-01T08:00Z',
      '2026-12-01T08:00:00.000Z',
    ],
    [
      '{"until": "2026-12-01T09:00+01:00", "reason": "x"}',
      '2026-11-30T08:00:00Z',
      'until 2026-12-01T08:00Z: x. It opens at 2026-12-01T08:00Z',
      '2026-12-01T08:00:00.000Z',
    ],
    [
      'Audit, until 2026-12-01T08:00:00Z.',
      '2026-11-30T08:00:00Z',
      'until 2026-12-01T08:00Z: Audit, until 2026-12-01T08:00:00Z.. It opens at 2026-12-01T08:00Z',
      '2026-12-01T08:00:00.000Z',
    ],
    [
      'until: tomorrow',
      '2026-11-30T08:00:00Z',
      'until the parameter is deleted: no reason given. No time is known at which it opens',
      undefined,
    ],
    [
      'until: 2026-12-01T08:00:00',
      '2027-01-01T00:00:00Z',
      'until the parameter is deleted: no reason given. No time is known at which it opens',
      undefined,
    ],
  ])('%j', (value, now, says, opens) => {
    expect(closed({ freeze: value }, now)).toEqual([`prod is frozen by /ami/freeze ${says}`, opens]);
  });

  test('that has expired is none', () => {
    expect(closed({ freeze: 'reason: x\nuntil: 2026-11-30T08:00:00Z' }, '2026-11-30T08:00:00Z')).toBe('open');
  });

  test('that ends while the window is closed opens with the window', () => {
    const both = { freeze: 'reason: x\nuntil: 2026-12-01T20:00:00Z', windows: ['09:00-10:00 UTC'] };
    expect(closed(both, '2026-11-30T09:30:00Z')).toEqual([
      'prod is frozen by /ami/freeze until 2026-12-01T20:00Z: x. It opens at 2026-12-02T09:00Z',
      '2026-12-02T09:00:00.000Z',
    ]);
  });
});

describe('brakes on a promotion', () => {
  const windows = ['Fri 09:00-10:00 UTC'];

  test('a closed window refuses it before the first write, with the time as an output', async () => {
    const { world, calls, log, summaries } = rollWorld();
    const failure = await failureOf(promote({ ...settings, windows }, world));
    const said = 'stage is closed now: "windows" allows Fri 09:00-10:00 UTC. It opens at 1970-01-02T09:00Z';
    expect([log.includes(`. ${said}`), summaries.join().includes(`- ⛔ ${said}`)]).toEqual([true, true]);
    expect([failure.message, failure.outputs, failure.unchanged, calls()]).toEqual([
      `Refused to promote ${B} in stage: stage is closed now: "windows" allows Fri 09:00-10:00 UTC. It opens at 1970-01-02T09:00Z`,
      { opensAt: '1970-01-02T09:00:00.000Z' },
      true,
      [],
    ]);
  });

  test('a freeze refuses it, and a parameter that does not exist does not', async () => {
    const { world, state } = rollWorld();
    const freeze = '/ami/{family}/{environment}/freeze';
    state.parameters.set('/ami/web/stage/freeze', [parameter('/ami/web/stage/freeze', 'Audit', 1, '')]);
    const failure = await failureOf(promote({ ...settings, freeze }, world));
    expect(failure.message).toContain('stage is frozen by /ami/web/stage/freeze until the parameter is deleted: Audit');
    state.parameters.delete('/ami/web/stage/freeze');
    expect(await promote({ ...settings, freeze }, world)).toMatchObject({ outcome: 'done' });
  });

  test('a group with the tag is left alone, until the tag is removed; a rollback passes', async () => {
    const { world, state, pointerNow } = rollWorld();
    await promote(settings, world);
    const held = { ...(state.groups.get('web') ?? group('web')), tags: { 'ami-action:hold': 'load test' } };
    state.groups.set('web', held);
    await expect(promote({ ...settings, image: C }, world)).rejects.toThrow(
      `Refused to promote ${C} in stage: web has the tag ami-action:hold (load test): remove the tag, or take the group out of "groups"`,
    );
    const closed = { ...settings, image: 'previous', windows, freeze: '/ami/freeze' };
    await rollback(closed, world);
    expect(pointerNow()).toBe('ami-aaaaaaaa');
    state.groups.set('web', { ...(state.groups.get('web') ?? group('web')), tags: { 'ami-action:hold': 'false' } });
    expect(await promote({ ...settings, image: C }, world)).toMatchObject({ outcome: 'done' });
  });

  test('a window that is none is a usage error', async () => {
    const failure = await failureOf(promote({ ...settings, windows: ['Mon-Fri'] }, rollWorld().world));
    expect(failure).toEqual(
      new UsageError(['"windows" must be days, hours and a time zone, such as "Mon-Fri 09:00-16:00 Europe/Berlin", got "Mon-Fri"']),
    );
  });
});

describe('an older image that a person picked', () => {
  const [older, newer] = [
    { ...image(A), createdAt: new Date(1000) },
    { ...image(B), createdAt: new Date(2000) },
  ];
  const start = { images: [older, newer, { ...image(C), createdAt: new Date(3000) }], pointer: [A, B], was: B };
  const byHand = (event: string) => {
    const made = rollWorld(start);
    Object.assign(made.world.run, { event });
    return made;
  };

  test('holds the environment until it is released', async () => {
    const made = byHand('workflow_dispatch');
    await promote({ ...settings, image: A }, made.world);
    Object.assign(made.world.run, { event: 'push' });
    await expect(promote({ ...settings, image: C }, made.world)).rejects.toThrow(
      `Refused to promote ${C} in stage: stage is held on ${A}, an older image that a person picked (/ami/web/stage version 3): set "release: true" to promote another one`,
    );
    expect((await promote({ ...settings, image: A }, made.world)).outcome).toBe('unchanged');
    expect((await promote({ ...settings, image: C, release: true }, made.world)).outcome).toBe('done');
    expect((await promote({ ...settings, image: B }, made.world)).outcome).toBe('done');
  });

  test('is passed by a rollback', async () => {
    const made = byHand('workflow_dispatch');
    await promote({ ...settings, image: A }, made.world);
    expect(await rollback({ ...settings, image: 'previous' }, made.world)).toMatchObject({ outputs: { amiId: B } });
  });

  test.each([
    ['a push', 'push', A],
    ['a newer image', 'workflow_dispatch', C],
    ['a selector that moves', 'workflow_dispatch', 'latest'],
  ])('%s holds nothing', async (_, event, selector) => {
    const made = byHand(event);
    await promote({ ...settings, image: selector }, made.world);
    expect(made.state.parameters.get('/ami/web/stage')?.[0]?.description).toMatch(/^ami-action promote: was/);
  });
});

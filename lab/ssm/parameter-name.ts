import { AwsError } from '../operation.ts';
import type { Place } from '../place.ts';
import { otherAccount } from './parameter-refusals.ts';
import { check, given, invalid, length } from './validation.ts';

const LEVELS = 15;

/**
 * Checks the name of a parameter that is stored.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html
 */
export function nameToWrite(place: Place, raw: string | undefined): string {
  check(given('name', raw), length('name', raw, 1, 2048));
  const name = (raw ?? '').trim();
  if (/^\/aws\//i.test(name)) throw new AwsError('AccessDeniedException', `No access to reserved parameter name: ${name}.`);
  if (/^\/?(aws|ssm)/i.test(name)) throw invalid('Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive).');
  if (!/^[\w./-]+$/.test(name)) {
    throw invalid(
      'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; ' +
        'each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_',
    );
  }
  if (name.includes('/') && !name.startsWith('/')) throw invalid('Parameter name must be a fully qualified name.');
  if (/\/\/|\/$/.test(name)) throw invalid('Parameter name must not contain empty levels.');
  // The limit is that of the whole ARN: it leaves 1011 characters for the name.
  if (name.length > 1011 || place.region.length + name.length > 1011 + 20) throw invalid('Parameter name is too long.');
  if (name.split('/').filter(Boolean).length > LEVELS) {
    throw new AwsError('HierarchyLevelLimitExceededException', `A hierarchy can have a maximum of ${LEVELS} levels.`);
  }
  return name;
}

export interface Reference {
  readonly name: string;
  /** Version number or label. */
  readonly selector: string | undefined;
}

/** Forms of a reference: `name`, `name:version`, `name:label`, an ARN, or an ARN with either. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html */
export function readReference(place: Place, raw: string): Reference {
  const [, region, account, path] = /^arn:aws:ssm:([^:]+):(\d*):parameter\/(.+)$/.exec(raw.trim()) ?? [];
  if (path === undefined) return split(raw.trim());
  // A parameter belongs to one region. Sharing with another account needs AWS RAM, which the lab does not have.
  if (region !== place.region || (account !== '' && account !== place.account)) throw otherAccount(raw);
  // In an ARN, `/a` and `a` look the same.
  const { name, selector } = split(path);
  return { name: name.includes('/') ? `/${name}` : name, selector };
}

function split(text: string): Reference {
  const [name = '', selector, ...more] = text.split(':');
  if (/\s/.test(name) || name === '' || more.length > 0) throw invalid('Parameter name is not valid.');
  return { name, selector };
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.ts';

interface Wanted {
  readonly mode: string;
  readonly account?: string | undefined;
  /** A line for each. */
  readonly settings: string;
}

/** What the names of these roles begin with. @public */
export const SHIPPED = 'shipped-';

/**
 * Deploys the roles of examples/ for the repository acme/web, with every option on, and returns the name of the one that a mode has. They get the
 * environment, the families and the consumer accounts that the settings name.
 */
export function shippedRole(deploy: Lab['deploy'], { mode, account = '111122223333', settings }: Wanted): string {
  const isRollout = ROLLOUT.has(mode);
  const environment = /^ *environment: *"?([\w-]+)/m.exec(settings)?.[1] ?? 'stage';
  const stack = `${SHIPPED}${isRollout ? environment : 'delivery'}`;
  const known = namesOf(deploy, `${account} ${stack}`);
  const added = [...settings.matchAll(NAMES)].map(([, family, consumer]) => family ?? consumer ?? '').filter(name => !known.has(name));
  if (known.size === 0 || added.length > 0) {
    for (const name of ['web', ...added]) known.add(name);
    const Families = [...known].join(',');
    const parameters = isRollout
      ? { ...COMMON, ...ENVIRONMENT, Families, Environment: environment }
      : { ...COMMON, ...DELIVERY, Families, ConsumerAccounts: Families };
    deploy(isRollout ? read('environment-role.yml') : read('delivery-role.yml'), { account, stack, parameters });
  }
  return `${stack}-${isRollout ? 'rollout' : READ.has(mode) && !settings.includes('from-role:') ? 'read' : 'images'}`;
}

const ROLLOUT = new Set(['promote', 'rollback']);
/** The reading role assumes no other. */
const READ = new Set(['list', 'resolve']);
const NAMES = /^ *family: *"?([\w-]+)|\b(\d{12})\b/gm;

/** Names of families and consumers that a stack knows, of each lab. */
const deployed = new WeakMap<Lab['deploy'], Map<string, Set<string>>>();

function namesOf(deploy: Lab['deploy'], stack: string): Set<string> {
  const stacks = deployed.get(deploy) ?? new Map<string, Set<string>>();
  deployed.set(deploy, stacks);
  const names = stacks.get(stack) ?? new Set();
  stacks.set(stack, names);
  return names;
}

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', 'examples', name), 'utf8');

const COMMON = {
  Subject: 'repo:acme/web',
  RepositoryId: '456789',
  LaunchTemplates: '*',
  VerdictKey: '*',
  OtherRoles: '*',
  Provider: 'exists',
};
const DELIVERY = { Repository: 'acme/web', Adopt: 'allow', PackerCopies: 'allow', Keys: '*' };
const ENVIRONMENT = {
  ...{ Pointers: '/*', Groups: '*', GroupRoles: '*', HookRoles: '*', LaunchConfigurations: 'allow' },
  ...{ NodeGroups: '*', Listeners: '*', Stacks: '*', HostedZones: '*' },
};

import { z } from 'zod';
import * as shell from './checks-shell.ts';

/** The checks that nearly everybody needs, by name. */
export interface ReadyMade {
  /** For the table of the README. */
  readonly doc: string;
  /** What stands beneath it. */
  readonly keys: readonly string[];
  schema(): z.ZodType;
  make(said: unknown): Made;
}

export interface Made {
  readonly name: string;
  readonly command: string;
  readonly timeLimitSeconds?: number;
  readonly retryForSeconds?: number;
}

const ready = <S extends z.ZodType>(doc: string, schema: () => S, make: (said: z.infer<S>) => Made): ReadyMade => ({
  doc,
  get keys() {
    return KEYS.get(schema()) ?? [];
  },
  schema,
  make: said => make(said as z.infer<S>),
});

/** Of every map below, by its schema. */
const KEYS = new WeakMap<z.ZodType, readonly string[]>();

const word = (says: string, shape = /^[^\s-]\S*$/) => z.string({ error: says }).trim().regex(shape, says);
// For editors: all YAML scalars arrive as text here, but a person writes 8080 and true. https://json-schema.org/understanding-json-schema/reference/type
const NUMBER = { type: ['integer', 'string'] } as const;
const BOOLEAN = { type: ['boolean', 'string'], enum: [true, false, 'true', 'false'] };

const port = () =>
  word('must be a port from 1 to 65535', /^[1-9]\d{0,4}$/)
    .refine(text => Number(text) <= 65_535, 'must be a port from 1 to 65535')
    .meta({ ...NUMBER, minimum: 1, maximum: 65_535 });
const share = () => word('must be a share such as 10%', /^\d{1,2}%$/).transform(text => Number(text.slice(0, -1)));
const absolute = () => word('must be an absolute path', /^\/[^\0\n]*$/);
const yesNo = () => z.enum(['true', 'false'], { error: 'must be true or false' }).meta(BOOLEAN);

const map = <T extends z.ZodRawShape>(shape: T) => {
  const says = `takes ${Object.keys(shape).join(', ')}`;
  const schema = z.strictObject(shape, {
    error: issue => (issue.code === 'unrecognized_keys' ? `says ${issue.keys.join(', ')}, but ${says}` : says),
  });
  KEYS.set(schema, Object.keys(shape));
  return schema;
};
/** `service: web` is short for `service: { name: web }`. */
const shortFor = <S extends z.ZodType>(key: string, inner: S) => {
  const schema = z.preprocess(said => (typeof said === 'string' ? { [key]: said } : said), inner).meta({ type: ['object', 'string'] });
  KEYS.set(schema, KEYS.get(inner) ?? []);
  return schema;
};
/** Bare, or with a word that says what is expected anyway: `cloud-init: done`. */
const nothing = (expected: string) =>
  z.union([z.literal([expected, 'true']).meta({ enum: [expected, true, 'true'] }), map({})], { error: `takes nothing but "${expected}"` });

export const readyMade: Readonly<Record<string, ReadyMade>> = {
  service: ready(
    'The systemd unit is active, and enabled so that the next machine starts it too (`enabled: false`: need not be).',
    () => shortFor('name', map({ name: word('must be the name of a unit'), enabled: yesNo().default('true') })),
    ({ name, enabled }) => ({
      name: `service ${name} is active${enabled === 'true' ? ' and enabled' : ''}`,
      command: shell.service(name, enabled === 'true'),
    }),
  ),
  port: ready('Something listens on the TCP port.', port, number => ({
    name: `port ${number} is listened on`,
    command: shell.listens(Number(number)),
    retryForSeconds: 10,
  })),
  http: ready(
    'A GET of `path` on `port` answers with `status` (default `/`, 80, 200; `tls: true` for https, `host` for the Host header).',
    () =>
      map({
        port: port().default('80'),
        path: word('must be a path', /^\/\S*$/).default('/'),
        status: word('must be an HTTP status', /^[1-5]\d\d$/)
          .meta(NUMBER)
          .default('200'),
        host: word('must be a host name').default('localhost'),
        tls: yesNo().default('false'),
      }),
    want => ({
      name: `GET ${want.tls === 'true' ? 'https' : 'http'}://${want.host}:${want.port}${want.path} answers ${want.status}`,
      command: shell.http({ ...want, tls: want.tls === 'true' }),
      retryForSeconds: 10,
    }),
  ),
  path: ready(
    'The path is there; with `type` (file, directory, executable), `owner` (user or user:group) and `mode` (such as 0755) as said.',
    () =>
      shortFor(
        'path',
        map({
          path: absolute(),
          type: z.enum(['file', 'directory', 'executable'], { error: 'must be file, directory or executable' }).optional(),
          owner: word('must be a user or user:group').optional(),
          mode: word('must be a mode such as 0755', /^[0-7]{3,4}$/).optional(),
        }),
      ),
    want => ({ name: `path ${want.path}${want.type === undefined ? '' : ` is a ${want.type}`}`, command: shell.path(want) }),
  ),
  package: ready(
    'The package (rpm, deb or apk) is installed; with `version`, in that version: `1.2` means any 1.2.x.',
    () => shortFor('name', map({ name: word('must be the name of a package'), version: word('must be a version').optional() })),
    ({ name, version }) => ({
      name: `package ${name}${version === undefined ? '' : ` ${version}`}`,
      command: shell.installed(name, version),
    }),
  ),
  'cloud-init': ready(
    'cloud-init has finished, without an error and without a recoverable one.',
    () => nothing('done'),
    () => ({
      name: 'cloud-init is done, clean',
      command: shell.cloudInit,
      timeLimitSeconds: 300,
    }),
  ),
  'no-failed-units': ready(
    'No systemd unit has failed, but for those under `except`.',
    () => exceptions('units'),
    except => ({
      name: 'no failed units',
      command: shell.failedUnits(except),
    }),
  ),
  disk: ready(
    'The file system of `path` (default `/`) has `free` space and `inodes` left (default 10% each).',
    () => map({ path: absolute().default('/'), free: share().default(10), inodes: share().default(10) }),
    want => ({ name: `disk ${want.path} has head-room`, command: shell.disk(want) }),
  ),
  'no-leftovers': ready(
    'Nothing of the builder stayed behind: SSH host keys and authorized_keys from before this boot, shell history, private keys, AWS credentials; but for paths under `except`. ' +
      'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/building-shared-amis.html',
    () => exceptions('paths'),
    except => ({ name: 'no keys, history or credentials left over', command: shell.leftovers(except) }),
  ),
  'ssm-agent': ready(
    'The SSM agent is installed, and enabled so that the next machine starts it too.',
    () => nothing('present'),
    () => ({
      name: 'SSM agent is present and enabled',
      command: shell.ssmAgent,
    }),
  ),
};

function exceptions(what: string): z.ZodType<readonly string[]> {
  const shape = map({ except: z.array(word(`must be a list of ${what}`), { error: `must be a list of ${what}` }).default([]) });
  return z
    .union(
      [
        z
          .literal('true')
          .meta(BOOLEAN)
          .transform(() => ({ except: [] as string[] })),
        shape,
      ],
      {
        error: `takes "true", or except: a list of ${what}`,
      },
    )
    .transform(({ except }) => except) as z.ZodType<readonly string[]>;
}

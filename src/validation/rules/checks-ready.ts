import { z } from 'zod';
import * as shell from './checks-shell.ts';

/** The ready-made checks, by name. */
export interface ReadyMade {
  /** For the table of the documentation. */
  readonly doc: string;
  /** Its own keys. */
  readonly keys: readonly string[];
  schema(): z.ZodType;
  make(value: unknown): Made;
}

interface Made {
  readonly name: string;
  readonly command: string;
  readonly timeLimitSeconds?: number;
  readonly retryForSeconds?: number;
}

const ready = <S extends z.ZodType>(doc: string, schema: () => S, make: (value: z.infer<S>) => Made): ReadyMade => ({
  doc,
  get keys() {
    return KEYS.get(schema()) ?? [];
  },
  schema,
  make: value => make(value as z.infer<S>),
});

/** Of every map below, by its schema. */
const KEYS = new WeakMap<z.ZodType, readonly string[]>();

const word = (message: string, shape = /^[^\s-]\S*$/) => z.string({ error: message }).trim().regex(shape, message);
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

const map = <T extends z.ZodRawShape>(shape: T, example = '') => {
  const message = `takes ${Object.keys(shape).join(', ')}${example}`;
  const schema = z.strictObject(shape, {
    error: issue => (issue.code === 'unrecognized_keys' ? `has unknown ${issue.keys.join(', ')}, it ${message}` : message),
  });
  KEYS.set(schema, Object.keys(shape));
  return schema;
};
/** `service: web` is short for `service: { name: web }`. */
const shortFor = <S extends z.ZodType>(key: string, inner: S) => {
  const schema = z.preprocess(value => (typeof value === 'string' ? { [key]: value } : value), inner).meta({ type: ['object', 'string'] });
  KEYS.set(schema, KEYS.get(inner) ?? []);
  return schema;
};
/** Bare, or with its expected state: `cloud-init: done`. */
const nothing = (expected: string) =>
  z.union([z.literal([expected, 'true']).meta({ enum: [expected, true, 'true'] }), map({})], { error: `takes nothing but "${expected}"` });

export const readyMade: Readonly<Record<string, ReadyMade>> = {
  service: ready(
    'The systemd unit is active and enabled, so that the next instance starts it too (`enabled: false`: it may be disabled).',
    () => shortFor('name', map({ name: word('must be the name of a unit'), enabled: yesNo().default('true') })),
    ({ name, enabled }) => ({
      name: `service ${name} is active${enabled === 'true' ? ' and enabled' : ''}`,
      command: shell.service(name, enabled === 'true'),
    }),
  ),
  port: ready('A process listens on the TCP port.', port, number => ({
    name: `port ${number} is open`,
    command: shell.listens(Number(number)),
    retryForSeconds: 10,
  })),
  http: ready(
    'A GET of `path` on `port` answers with `status` (default `/`, 80, 200; `tls: true` for https, `host` for the Host header).',
    () =>
      map(
        {
          port: port().default('80'),
          path: word('must be a path', /^\/\S*$/).default('/'),
          status: word('must be an HTTP status', /^[1-5]\d\d$/)
            .meta(NUMBER)
            .default('200'),
          host: word('must be a host name').default('localhost'),
          tls: yesNo().default('false'),
        },
        ': write http: { port: 8080, path: /health }',
      ),
    options => ({
      name: `GET ${options.tls === 'true' ? 'https' : 'http'}://${options.host}:${options.port}${options.path} answers ${options.status}`,
      command: shell.http({ ...options, tls: options.tls === 'true' }),
      retryForSeconds: 10,
    }),
  ),
  path: ready(
    'The path exists, with the given `type` (file, directory, executable), `owner` (user or user:group) and `mode` (such as 0755).',
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
    options => ({
      name: `path ${options.path}${options.type === undefined ? '' : ` is ${options.type === 'executable' ? 'executable' : `a ${options.type}`}`}`,
      command: shell.path(options),
    }),
  ),
  package: ready(
    'The package (rpm, deb or apk) is installed. `version: 1.2` matches any 1.2.x.',
    () => shortFor('name', map({ name: word('must be the name of a package'), version: word('must be a version').optional() })),
    ({ name, version }) => ({
      name: `package ${name}${version === undefined ? '' : ` ${version}`}`,
      command: shell.installed(name, version),
    }),
  ),
  'cloud-init': ready(
    'cloud-init has finished without errors, also without recoverable ones.',
    () => nothing('done'),
    () => ({
      name: 'cloud-init has finished without errors',
      command: shell.cloudInit,
      timeLimitSeconds: 300,
    }),
  ),
  'no-failed-units': ready(
    'No systemd unit has failed, except those under `except`.',
    () => exceptions('units'),
    except => ({
      name: 'no failed units',
      command: shell.failedUnits(except),
    }),
  ),
  disk: ready(
    'The file system of `path` (default `/`) has `free` space and free `inodes` (default 10% each).',
    () => map({ path: absolute().default('/'), free: share().default(10), inodes: share().default(10) }),
    options => ({ name: `disk ${options.path} has free space`, command: shell.disk(options) }),
  ),
  'no-leftovers': ready(
    'The image holds no SSH host keys or authorized_keys from before this boot, no shell history, private keys or AWS credentials, except paths under `except`. ' +
      'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/building-shared-amis.html',
    () => exceptions('paths'),
    except => ({ name: 'no keys, history or credentials from the build', command: shell.leftovers(except) }),
  ),
  'ssm-agent': ready(
    'The SSM agent is installed and enabled, so that the next instance starts it too.',
    () => nothing('present'),
    () => ({
      name: 'the SSM agent is enabled',
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

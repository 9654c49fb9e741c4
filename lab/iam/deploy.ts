import type { Core } from '../place.ts';
import { AWS_MANAGED } from './managed-policies.ts';
import { textsOf } from './patterns.ts';
import { readPolicy, type Statement } from './policy.ts';
import { instanceProfiles, providers, roles } from './roles.ts';
import { NO_VALUE, parseTemplate, resolve, type Scope, type Template, type Value } from './template.ts';

export interface Deployment {
  readonly account: string;
  readonly region?: string;
  readonly stack?: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface Deployed {
  readonly outputs: Readonly<Record<string, string>>;
  /** Logical ID -> ARN. */
  readonly arns: Readonly<Record<string, string>>;
}

type Fields = Readonly<Record<string, Value>>;

/** Resources that cloudformation/fleet.ts creates. */
const OF_A_FLEET = /^AWS::(EC2::LaunchTemplate|AutoScaling::)/;

interface Resolved {
  readonly id: string;
  readonly type: string;
  readonly arn: string;
  readonly fields: Fields;
}

/** The IAM resources of a CloudFormation template, without intrinsic functions. */
export const iamResources = (text: string, deployment: Deployment): readonly Resolved[] => read(text, deployment).resolved;

function read(text: string, { account, region = 'eu-central-1', stack = 'ami', parameters = {} }: Deployment) {
  const template = parseTemplate(text);
  const scope = scopeOf(template, { account, region, stack, values: valuesOf(template, parameters) });
  const present = Object.entries(template.Resources).filter(
    ([, { Type, Condition }]) => !OF_A_FLEET.test(String(Type)) && (Condition === undefined || scope.condition(String(Condition))),
  );
  const resolved = present.map(([id, { Type, Properties }]) => ({
    ...{ id, type: String(Type), arn: String(scope.attribute(id, 'Arn')) },
    fields: (resolve(Properties ?? {}, scope) ?? {}) as Fields,
  }));
  return { resolved, outputs: () => outputsOf(template, scope) };
}

/** Deploys the IAM resources of a CloudFormation template into an account of the lab. Deploying it again replaces them. */
export function deploy(core: Core, text: string, deployment: Deployment): Deployed {
  const { resolved, outputs } = read(text, deployment);
  const managed = new Map(
    resolved.filter(({ type }) => type === 'AWS::IAM::ManagedPolicy').map(({ arn, fields }) => [arn, fields['PolicyDocument']]),
  );
  for (const each of resolved) place(core, deployment.account, each, managed);
  return { outputs: outputs(), arns: Object.fromEntries(resolved.map(({ id, arn }) => [id, arn])) };
}

/** Removes what a template deployed, except what it retains. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html */
export function remove(core: Core, text: string, { arns }: Deployed): void {
  const { Resources } = parseTemplate(text);
  for (const [id, arn] of Object.entries(arns)) {
    if (Resources[id]?.['DeletionPolicy'] === 'Retain') continue;
    for (const kind of [roles, instanceProfiles, providers]) kind(core).delete(arn);
  }
}

/** Given values, defaults, and the checks that CloudFormation makes. */
export function valuesOf({ Parameters = {} }: Template, given: Readonly<Record<string, string>>): Readonly<Record<string, Value>> {
  const unknown = Object.keys(given).find(name => !(name in Parameters));
  if (unknown !== undefined) throw new Error(`ValidationError: Parameters: [${unknown}] do not exist in the template`);
  return Object.fromEntries(
    Object.entries(Parameters).map(([name, { Type, Default, AllowedPattern, AllowedValues }]) => {
      const value = given[name] ?? Default;
      if (value === undefined) throw new Error(`ValidationError: Parameters: [${name}] must have values`);
      const allowed = AllowedValues === undefined || textsOf(AllowedValues).includes(String(value));
      const fits = AllowedPattern === undefined || new RegExp(`^(?:${AllowedPattern})$`).test(String(value));
      if (!allowed || !fits) throw new Error(`ValidationError: Parameter '${name}' must match its allowed values or pattern`);
      const isList = /^(CommaDelimitedList|List<)/.test(String(Type));
      return [
        name,
        isList
          ? String(value)
              .split(',')
              .map(part => part.trim())
          : value,
      ];
    }),
  );
}

interface Setting {
  readonly account: string;
  readonly region: string;
  readonly stack: string;
  readonly values: Readonly<Record<string, Value>>;
}

function scopeOf(template: Template, { account, region, stack, values }: Setting): Scope {
  const isChina = region.startsWith('cn-');
  const pseudo: Readonly<Record<string, Value>> = {
    ...{ 'AWS::AccountId': account, 'AWS::Region': region, 'AWS::Partition': isChina ? 'aws-cn' : 'aws' },
    'AWS::URLSuffix': isChina ? 'amazonaws.com.cn' : 'amazonaws.com',
    ...{ 'AWS::StackName': stack, 'AWS::NoValue': NO_VALUE },
  };
  const scope: Scope = {
    ref: name => {
      if (name in pseudo) return pseudo[name];
      return name in values ? values[name] : refOf(template, name, account, nameIn(scope, stack));
    },
    attribute: (id, name) => {
      const arn = arnOf(template, id, account, nameIn(scope, stack));
      return name === 'Arn' ? arn : `${name}-of-${id}`;
    },
    condition: name => {
      const condition = template.Conditions?.[name];
      if (condition === undefined) throw new Error(`The template has no condition ${name}.`);
      return resolve(condition, scope) === true;
    },
    mapping: path => path.reduce<Value>((value, key) => (value as Fields)[key], template.Mappings as Value),
  };
  return scope;
}

type Namer = (id: string, fields: Fields) => string;

const NAMES = ['RoleName', 'InstanceProfileName', 'ManagedPolicyName', 'PolicyName'];

const nameIn =
  (scope: Scope, stack: string): Namer =>
  (id, fields) => {
    const given = NAMES.map(key => fields[key]).find(value => value !== undefined);
    return given === undefined ? `${stack}-${id}` : String(resolve(given, scope));
  };

const KINDS: Readonly<Record<string, string>> = {
  'AWS::IAM::Role': 'role',
  'AWS::IAM::InstanceProfile': 'instance-profile',
  'AWS::IAM::ManagedPolicy': 'policy',
  'AWS::IAM::Policy': 'inline-policy',
};

function arnOf(template: Template, id: string, account: string, name: Namer): string {
  const resource = template.Resources[id];
  if (resource === undefined) throw new Error(`The template has no resource ${id}.`);
  const fields = (resource['Properties'] ?? {}) as Fields;
  if (resource['Type'] === 'AWS::IAM::OIDCProvider')
    return `arn:aws:iam::${account}:oidc-provider/${String(fields['Url']).replace(/^https:\/\//, '')}`;
  const kind = KINDS[String(resource['Type'])];
  if (kind === undefined) throw new Error(`The lab does not deploy ${String(resource['Type'])}.`);
  return `arn:aws:iam::${account}:${kind}${String(fields['Path'] ?? '/')}${name(id, fields)}`;
}

/** Ref of a role or profile is its name, of all others the ARN. */
function refOf(template: Template, id: string, account: string, name: Namer): string {
  const arn = arnOf(template, id, account, name);
  return /:(role|instance-profile)\//.test(arn) ? arn.slice(arn.lastIndexOf('/') + 1) : arn;
}

function place(core: Core, account: string, { type, arn, fields }: Resolved, managed: ReadonlyMap<string, Value>): void {
  if (type === 'AWS::IAM::OIDCProvider') providers(core).set(arn, { arn, clientIds: textsOf(fields['ClientIdList']) });
  if (type === 'AWS::IAM::InstanceProfile') instanceProfiles(core).set(arn, `arn:aws:iam::${account}:role/${textsOf(fields['Roles'])[0]}`);
  if (type === 'AWS::IAM::Role') addRole(core, account, arn, fields, managed);
  if (type === 'AWS::IAM::Policy') attach(core, account, fields);
}

const statementsOf = (arn: string, managed: ReadonlyMap<string, Value>): readonly Statement[] => {
  const own = managed.get(arn) ?? AWS_MANAGED[arn.slice(arn.lastIndexOf('/') + 1)];
  if (own === undefined) throw new Error(`The lab does not know the managed policy ${arn}.`);
  return readPolicy(own);
};

function addRole(core: Core, account: string, arn: string, fields: Fields, managed: ReadonlyMap<string, Value>): void {
  const inline = ((fields['Policies'] ?? []) as readonly Fields[]).flatMap(({ PolicyDocument }) => readPolicy(PolicyDocument));
  const boundary = fields['PermissionsBoundary'];
  roles(core).set(arn, {
    ...{ arn, account, name: arn.slice(arn.lastIndexOf('/') + 1), trust: readPolicy(fields['AssumeRolePolicyDocument']) },
    policies: [...inline, ...textsOf(fields['ManagedPolicyArns']).flatMap(one => statementsOf(one, managed))],
    boundary: boundary === undefined ? undefined : statementsOf(String(boundary), managed),
    maxSessionSeconds: Number(fields['MaxSessionDuration'] ?? 3600),
    tags: Object.fromEntries(((fields['Tags'] ?? []) as readonly Fields[]).map(({ Key, Value: value }) => [String(Key), String(value)])),
  });
}

function attach(core: Core, account: string, fields: Fields): void {
  for (const name of textsOf(fields['Roles'])) {
    const role = [...roles(core).values()].find(one => one.account === account && one.name === name);
    if (role !== undefined) roles(core).set(role.arn, { ...role, policies: [...role.policies, ...readPolicy(fields['PolicyDocument'])] });
  }
}

const outputsOf = ({ Outputs = {} }: Template, scope: Scope): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(Outputs)
      .filter(([, { Condition }]) => Condition === undefined || scope.condition(String(Condition)))
      .map(([name, { Value: value }]) => [name, String(resolve(value, scope))]),
  );

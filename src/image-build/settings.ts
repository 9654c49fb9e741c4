import { parse } from 'yaml';
import { z } from 'zod';
import { duration, flag, list, map, optional, text } from '../kit/fields.ts';
import { isMap, type RawValue, type Values } from '../kit/settings.ts';
import { architecture, common, dryRun, environment, family, regions, tags, wait } from '../model/common-settings.ts';
import { ROLE_ARN, whole } from '../model/patterns.ts';
import { baseImage } from '../selection/base-image.ts';

/** A list or map as the HCL that Packer reads from `-var`; only there, `${` would be an interpolation. */
const toHcl = (value: RawValue): string => JSON.stringify(value).replace(/([$%])\{/g, '$1$1{');

function readNested(raw: unknown): unknown {
  if (typeof raw !== 'string') return isMap(raw) ? flatten(raw) : raw;
  try {
    const parsed: unknown = parse(raw, { schema: 'failsafe' });
    return isMap(parsed) && Object.values(parsed).some(value => typeof value !== 'string') ? flatten(parsed) : raw;
  } catch {
    return raw;
  }
}

const flatten = (raw: Readonly<Record<string, RawValue>>) =>
  Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, typeof value === 'string' ? value : toHcl(value)]));

/** A map whose values may be lists and maps too. */
const withLists = (inner: ReturnType<typeof map>): ReturnType<typeof map> => ({
  ...inner,
  schema: () => z.preprocess(readNested, inner.schema()) as ReturnType<(typeof inner)['schema']>,
});

export const DEFAULT_NAME = '{family}-{version}-{timestamp}';

export const settings = {
  family,
  template: text(
    'Packer template: a directory or a file, HCL2 or legacy JSON. The action sets these variables, if the template declares them: `ami_name`, `ami_tags`, `run_tags`, `source_ami`, `source_root_device`, `instance_type`, `region`, `ami_regions`. Tags that it does not take are added in a copy outside the repository.',
    { fallback: 'packer' },
  ),
  workingDirectory: optional(
    text(
      'Directory in which Packer runs, relative to the workspace. Default: the workspace, unless more of the relative paths in the template exist in its own directory, or one between; the log says which.',
      { neededBy: 'templates with relative paths' },
    ),
  ),
  version: optional(
    text('Version of the content of the image. Default: the tag that is built, else the first seven characters of the commit.', {
      pattern: /^[\w.+-]{1,64}$/,
      message: 'must be 1 to 64 letters, digits and . _ + -',
    }),
  ),
  var: withLists(
    map(
      'Variables of the template; a list or map is YAML. They are arguments of Packer, visible to every user of the machine: use "secret-var" for secrets.',
      { fallback: '{}' },
    ),
  ),
  varFiles: list('Files with variables, relative to the workspace. A later file overrides an earlier one.', {
    fallback: '',
    neededBy: 'templates with many variables',
  }),
  name: text(
    'Name of the image, from `{family}`, `{version}`, `{timestamp}`, `{environment}`, `{commit}` and `{architecture}`. With "architecture" set, the default contains it too.',
    { fallback: DEFAULT_NAME },
  ),
  tags,
  baseImage,
  templateRole: optional(
    text(
      'Role that the template assumes itself (`assume_role`), or a role in the account of its `profile`: ami-action reads and tags the images with it. Without it a template with credentials of another account is refused.',
      {
        pattern: whole(ROLE_ARN),
        message: 'must be the ARN of a role, such as arn:aws:iam::111122223333:role/ami-build',
        neededBy: 'templates with credentials of their own',
      },
    ),
  ),
  instanceType: optional(
    text('Type of the build instance, for a template that declares `instance_type`.', {
      pattern: /^[a-z0-9-]+\.[a-z0-9-]+$/,
      message: 'must be an instance type such as t3.small',
      neededBy: 'builds that need a larger instance',
    }),
  ),
  rebuild: optional(
    text(
      '`changed`: build only if something that goes into the image has changed. `max-age:<duration>`: also if the last image is older. `always`: every run builds. Default: `changed` with "base-image", else `always`, because a new base image would go unnoticed.',
      { pattern: /^(always|changed|max-age:(\d+[smhd])+)$/, message: 'must be always, changed or max-age:<duration> such as max-age:7d' },
    ),
  ),
  appPaths: list(
    'Opt-in to incremental builds: the files of the application, as globs relative to the workspace. Where only these have changed, the image is built on the newest image of the family instead of "base-image".',
    { fallback: '', neededBy: 'builds that take long for every push of code' },
  ),
  fullEvery: duration('With "app-paths": when the last full build is older than this, the next build is a full one.', {
    fallback: '7d',
    minSeconds: 60,
    neededBy: 'incremental builds',
  }),
  environment: optional(environment),
  ...common,
  dryRun: dryRun(false),
  regions,
  homeOnly: flag('Build in `region` only, and leave `regions` to `share`, which copies while the image is validated.', false, {
    neededBy: 'pipelines that copy while they validate',
  }),
  architecture,
  timeout: duration('Time limit. On timeout Packer is stopped and cleans up; pending copies continue in the background.', {
    fallback: '2h',
    minSeconds: 60,
    maxSeconds: 86_400,
    neededBy: 'builds that take hours',
  }),
  cleanupOnFailure: flag('If one source fails, also remove the images of the sources that finished.', false, {
    neededBy: 'templates with several sources',
  }),
  content: list(
    'Files that determine the image, as globs relative to the workspace; `!` excludes. Each glob must match a file. Template and var files always count. Default: every file of the commit.',
    { fallback: '', neededBy: 'repositories that hold more than one application' },
  ),
  only: list('Build only these sources of the template.', { fallback: '', neededBy: 'templates with several sources' }),
  except: list('Build all sources except these.', { fallback: '', neededBy: 'templates with several sources' }),
  secretVar: map('Secret variables of the template. They are passed in a file that only this user can read, and masked in all output.', {
    fallback: '{}',
    withOnly: true,
    secret: true,
    neededBy: 'templates that need a token',
  }),
  packerVersion: text('Version of Packer, or a range in npm syntax.', {
    fallback: '>=1.14.1',
    pattern: /^[\d.x*<>=~^ |-]+$/,
    message: 'must be a version or a range, such as 1.16.0 or >=1.14.0',
    neededBy: 'teams that pin their tools',
  }),
  packerSha256: optional(
    text("SHA-256 of the vendor's archive, for a version that the action does not know.", {
      pattern: /^[0-9a-f]{64}$/,
      message: 'must be 64 hexadecimal digits',
      withOnly: true,
      neededBy: 'teams whose Packer is newer than their ami-action',
    }),
  ),
  packerMirror: text('Where to download Packer from, if it is not on PATH.', {
    fallback: 'https://releases.hashicorp.com',
    pattern: /^(https:\/\/[^\s/]|http:\/\/(127\.0\.0\.1|localhost)[:/])\S*$/,
    message: 'must be an https address such as https://mirror.example.com/hashicorp',
    withOnly: true,
    neededBy: 'runners that reach the internet through a mirror',
  }),
  fromInstance: optional(
    text('Create the image from this instance, instead of building one with Packer. `self`: the instance that runs the terminal program.', {
      pattern: /^(self|i-([0-9a-f]{8}|[0-9a-f]{17}))$/,
      message: 'must be the ID of an instance, or self',
      neededBy: 'teams that set instances up with cloud-init or Ansible',
    }),
  ),
  noReboot: flag(
    'Keep the instance running while the image is created; the image is crash-consistent. `false` restarts the instance.',
    true,
    {
      neededBy: 'users of `from-instance`',
    },
  ),
  wait,
};

export const outputs = {
  amiId: 'ID of the image in `region`, if the build made exactly one there.',
  amiIdX86_64: 'ID of the x86_64 image in `region`, if there is exactly one.',
  amiIdArm64: 'ID of the arm64 image in `region`, if there is exactly one.',
  amiIds: 'JSON: region -> ID, for every region with exactly one image.',
  images: 'JSON list: `source`, `architecture`, `region`, `id` and `name` of every image.',
  built: 'Whether an image was built: true or false.',
  reason: 'Why it was built, or not, as a sentence.',
  fingerprint: 'SHA-256 of everything that determines the content of the image.',
  imageName: 'Name of the image.',
  partial: 'JSON list: `source`, `region` and `id` of the images that were finished although the build failed.',
};

export type BuildOptions = Values<typeof settings>;

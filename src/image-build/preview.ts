import { relative } from 'node:path';
import { code, table, text } from '../kit/markdown.ts';
import type { Deps } from '../ports/deps.ts';
import type { PackerBuild } from '../ports/packer.ts';
import { accountOf } from './other-account.ts';
import { findPacker, namesImage, planPackerBuild } from './packer-build.ts';
import { packerInit, packerValidate, redact } from './packer-phase.ts';
import { formatChanges, toSentence } from './report.ts';
import type { Decision, Inputs } from './reuse.ts';

/** Reports what Packer would get, without secrets. @throws UsageError for what the template cannot take, as the build does. */
export async function previewBuild(
  { reason, changes }: Pick<Decision, 'reason' | 'changes'>,
  inputs: Inputs,
  deps: Deps<'account' | 'images', 'packer'>,
): Promise<void> {
  const { report } = deps;
  const { options, plan, print, template } = inputs;
  const tool = await findPacker(options, deps);
  const build = await planPackerBuild(inputs, tool, deps);
  const phase = { report, secrets: build.hidden };
  await packerInit(build, options, phase, deps);
  await packerValidate(build, options, phase, deps);
  const variables = variablesOf(inputs, build);
  const facts = (
    [
      ['Packer', tool.version],
      ['Template', options.template],
      ['Runs in', relative(deps.run.workspace, template.workingDirectory.path)],
      ['Regions', plan.regions.join(', ')],
      ['Account', accountOf(options.templateRole ?? '') ?? ''],
      ['Base image', plan.base ?? 'selected by the template'],
      ['Fingerprint', print.value],
      ['Var files', options.varFiles.join(', ')],
      ['Only', build.only.join(', ')],
      ['Except', build.except.join(', ')],
    ] as const
  ).filter(([, value]) => value !== '');
  for (const [name, value] of facts) report.info(`${name}: ${value}`);
  for (const [name, value, source] of variables) report.info(`Variable ${name}, set by ${source}: ${value}`);
  const tables = [
    table(
      ['Packer would get', ''],
      facts.map(([name, value]) => [name, code(value)]),
    ),
    table(
      ['Variable', 'Value', 'Set by'],
      variables.map(([name, value, source]) => [code(name), code(value), text(source)]),
    ),
  ];
  const name = namesImage(template) ? plan.name : `an image of ${options.family}, named by the template`;
  report.summary(
    [`### Would build ${text(name)}`, text(toSentence(reason)), formatChanges(changes), ...tables].filter(part => part !== '').join('\n\n'),
  );
}

/** Every variable that is set, with its value and who sets it; secrets are hidden. */
function variablesOf(
  { options, template }: Inputs,
  build: PackerBuild,
): readonly (readonly [name: string, value: string, source: string])[] {
  const shown = (name: string, value: unknown) =>
    name in template.secrets ? '***' : redact(typeof value === 'string' ? value : JSON.stringify(value), build.hidden);
  const setBy = (variables: Readonly<Record<string, unknown>>, source: string) =>
    Object.entries(variables).map(([name, value]) => [name, shown(name, value), source] as const);
  const { var: plain, secretVar } = options;
  const files = Object.fromEntries(Object.entries(template.overrides).filter(([name]) => !(name in plain) && !(name in secretVar)));
  return [
    ...setBy(build.given, 'ami-action'),
    ...setBy(files, '"var-files"'),
    ...setBy(build.variables, '"var"'),
    ...setBy(build.secrets, '"secret-var"'),
  ];
}

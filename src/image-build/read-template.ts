import { posix } from 'node:path';
import { UsageError } from '../kit/errors.ts';
import type { Deps } from '../ports/deps.ts';
import type { Packer } from '../ports/packer.ts';
import type { BuildPlan } from './plan.ts';
import { corruptsOutput } from './rules/packer-output.ts';
import { type TemplateFacts, templateFacts } from './rules/template-facts.ts';
import { ancestors, chooseWorkingDirectory, type PathReference, pathReferences, type WorkingDirectory } from './rules/template-paths.ts';
import { type DeclaredVariable, declaredVariables, sensitiveNames, type VariableValues, varFileValues } from './rules/variable-values.ts';
import type { BuildOptions } from './settings.ts';

/** What the files of a template say; no Packer is needed to read them. */
export interface Template {
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly texts: readonly string[];
  /** All of "secret-var", and values of "var" and PKR_VAR_... whose variable the template marks as sensitive. Never shown, and never hashed without salt. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly variables: readonly DeclaredVariable[];
  /** Values that the user sets: var files, "var" and "secret-var". They win over those of the action. */
  readonly overrides: VariableValues;
  readonly facts: TemplateFacts;
  /** Absolute paths of existing files and directories that it refers to. */
  readonly references: readonly string[];
  /** It also refers to files by expressions that only Packer can evaluate. */
  readonly isDynamic: boolean;
  readonly workingDirectory: WorkingDirectory;
  /** The template or one of its scripts mentions the SSM Agent; undefined where not everything could be read. */
  readonly installsAgent: boolean | undefined;
}

/** @throws UsageError where a sensitive value would make Packer hide the IDs of images, or "working-directory" does not exist. */
export async function readTemplate(plan: BuildPlan, options: BuildOptions, deps: Deps<never, 'packer'>): Promise<Template> {
  const { packer, report } = deps;
  const files = await packer.read(plan.template);
  const isVarFile = ({ path }: { path: string }) => /\.auto\.pkrvars\.(hcl|json)$/.test(path);
  const texts = files.map(({ text }) => text);
  const varFiles = (await Promise.all(plan.varFiles.map(packer.read))).flat();
  const ambient = Object.fromEntries(Object.entries(packer.ambient([])).map(([name, value]) => [name.replace(/^PKR_VAR_/, ''), value]));
  const secrets = secretsOf(texts, ambient, options, plan);
  for (const secret of Object.values(secrets)) report.mask(secret);
  const masking = Object.entries(options.secretVar).filter(([, value]) => corruptsOutput(value, plan.regions));
  if (masking.length > 0) report.warn(masksIds(masking.map(([name]) => name)));
  const variables = texts.flatMap(declaredVariables);
  const assigned = (all: typeof files): VariableValues => Object.assign({}, ...all.map(({ text }) => varFileValues(text)));
  const overrides = { ...assigned(varFiles), ...options.var, ...options.secretVar };
  const values = {
    ...Object.fromEntries(variables.flatMap(({ name, fallback }) => (fallback === undefined ? [] : [[name, fallback]]))),
    ...ambient,
    ...assigned(files.filter(isVarFile)),
    ...overrides,
  };
  const facts = templateFacts(texts, variables, { values, overrides }, options);
  const paths = locatePaths(texts, values, plan, options, deps);
  return { files, texts, secrets, variables, overrides, facts, ...paths, installsAgent: await installsAgent(texts, paths, packer) };
}

async function installsAgent(
  texts: readonly string[],
  { references, isDynamic }: Pick<Template, 'references' | 'isDynamic'>,
  packer: Packer,
): Promise<boolean | undefined> {
  const scripts = await Promise.all(references.filter(path => /\.(sh|bash|ps1|ya?ml)$/.test(path)).map(packer.read));
  if ([...texts, ...scripts.flat().map(({ text }) => text)].some(text => /ssm-agent/i.test(text))) return true;
  return isDynamic || references.some(path => packer.folderOf(path) === path) ? undefined : false;
}

function secretsOf(
  texts: readonly string[],
  ambient: Readonly<Record<string, string>>,
  { var: plain, secretVar }: BuildOptions,
  { regions }: BuildPlan,
): Template['secrets'] {
  const names = new Set(texts.flatMap(sensitiveNames));
  const sensitive = Object.entries({ ...ambient, ...plain, ...secretVar }).filter(([name]) => names.has(name));
  const corrupting = sensitive.filter(([, value]) => corruptsOutput(value, regions));
  if (corrupting.length > 0) throw new UsageError(corrupting.map(([name]) => tooShort(name)));
  return { ...Object.fromEntries(sensitive), ...secretVar };
}

/** Which directory Packer runs in, and what the template refers to from there. */
function locatePaths(
  texts: readonly string[],
  values: VariableValues,
  { template }: BuildPlan,
  { workingDirectory: chosen }: BuildOptions,
  { packer, report, run }: Deps<never, 'packer'>,
): Pick<Template, 'references' | 'isDynamic' | 'workingDirectory'> {
  const home = packer.folderOf(template);
  const all = texts.map(text => pathReferences(text, values));
  const found = all.flatMap(each => each.found);
  const workingDirectory = chosen === undefined ? defaultDirectory(found, home, run.workspace, packer) : setDirectory(chosen, packer);
  if (workingDirectory.path !== run.workspace)
    report.info(`Packer runs in ${posix.relative(run.workspace, workingDirectory.path)}: ${workingDirectory.reason}.`);
  const bases = { template: home, 'working-directory': workingDirectory.path };
  const existing = found.flatMap(({ from, path }) => packer.locate(posix.resolve(bases[from], path)) ?? []);
  const isInside = (path: string) => !posix.relative(run.workspace, path).startsWith('..') || !posix.relative(home, path).startsWith('..');
  return { workingDirectory, references: [...new Set(existing.filter(isInside))], isDynamic: all.some(({ isDynamic }) => isDynamic) };
}

function defaultDirectory(
  references: readonly PathReference[],
  home: string,
  workspace: string,
  packer: Pick<Packer, 'locate'>,
): WorkingDirectory {
  const relative = references.flatMap(({ from, path, isWhole }) =>
    from === 'working-directory' && isWhole && !posix.isAbsolute(path) && !/^\.?\/?$/.test(path) ? [path] : [],
  );
  const paths = [...new Set(relative)];
  const directories = ancestors(workspace, home);
  const isThere = (directory: string) => (path: string) => packer.locate(posix.resolve(directory, path)) !== undefined;
  const counts = directories.map(directory => paths.filter(isThere(directory)).length);
  const known = paths.filter(path => directories.some(directory => isThere(directory)(path)));
  return chooseWorkingDirectory(directories, counts, known.length);
}

function setDirectory(directory: string, packer: Pick<Packer, 'locate' | 'folderOf'>): WorkingDirectory {
  const path = packer.locate(directory);
  if (path === undefined || packer.folderOf(path) !== path)
    throw new UsageError([`"working-directory" is ${JSON.stringify(directory)}, which is not a directory of the workspace`], {
      unchanged: true,
    });
  return { path, reason: '"working-directory" is set' };
}

// https://github.com/actions/runner/blob/v2.336.0/src/Runner.Worker/JobExtension.cs
const masksIds = (names: readonly string[]): string =>
  `"secret-var" contains values so short or common that the runner masks them in the IDs of images too: ${names.join(', ')}. The runner drops outputs that contain a masked text. Use a longer value, or "var".`;

const tooShort = (name: string): string =>
  `The template marks ${name} as sensitive, and its value is so short or common that Packer hides it in the IDs of images too. Use a longer value, or remove "sensitive" from the variable`;

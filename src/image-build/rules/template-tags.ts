import type { Tags } from '../../model/image.ts';
import { type HclBlock, parseHcl, replaceName } from './hcl.ts';
import { flattened } from './template-sources.ts';

/**
 * Adds tags to the sources of a template that do not take them from the action. Packer has no override files: it refuses an attribute
 * that is set twice. But a block such as `run_tag` may be repeated, and is merged with the map `run_tags`.
 * https://developer.hashicorp.com/packer/integrations/hashicorp/amazon/latest/components/builder/ebs
 */

type TagBlock = 'run_tag' | 'run_volume_tag' | 'spot_tag' | 'snapshot_tag' | 'tag';

/** The blocks of each type of source. An image of amazon-ebssurrogate is registered from snapshots, which get `snapshot_tags` alone. */
const BLOCKS: Readonly<Record<string, readonly TagBlock[]>> = {
  'amazon-ebs': ['run_tag', 'run_volume_tag', 'spot_tag', 'tag'],
  'amazon-ebssurrogate': ['run_tag', 'run_volume_tag', 'spot_tag', 'snapshot_tag', 'tag'],
  'amazon-ebsvolume': ['run_tag', 'run_volume_tag', 'spot_tag'],
  'amazon-instance': ['run_tag', 'spot_tag', 'tag'],
};

/** Whether everything temporary of such a source can be tagged. */
export const takesRunTags = ({ type }: { readonly type: string }): boolean => type in BLOCKS;

export interface TagOptions {
  /** Of everything temporary, and of the image. */
  readonly runTags: Tags;
  readonly imageTags: Tags;
  /** Variables that the action sets. */
  readonly given: ReadonlySet<string>;
  /** Names of the sources that launch a spot instance: others refuse `spot_tags`. */
  readonly spot: readonly string[];
  /** Directory of the template. */
  readonly folder: string;
}

export interface Edit {
  readonly path: string;
  readonly text: string;
  /** How many lines were inserted behind which line. */
  readonly inserted: readonly { readonly line: number; readonly count: number }[];
}

export interface TaggedTemplate {
  /** The files that differ; none where nothing is missing. */
  readonly edits: readonly Edit[];
  /** By source: the attributes that were added to, such as `run_tags`. */
  readonly added: Readonly<Record<string, readonly string[]>>;
}

export function addTags(files: readonly { path: string; text: string }[], options: TagOptions): TaggedTemplate {
  const added: Record<string, readonly string[]> = {};
  const all = files
    .filter(({ path }) => !/\.pkrvars\.(hcl|json)$/.test(path))
    .map(file => ({ file, edit: /\.pkr\.hcl$/.test(file.path) ? editHcl(file, options, added) : editJson(file, options, added) }));
  const edits = all.flatMap(({ file, edit }) => (edit.text === file.text ? [] : [edit]));
  return { edits: Object.keys(added).length === 0 ? [] : edits, added };
}

/** The tags that a source lacks, by block; records what it gets. */
function missingTags(
  source: { readonly name: string; readonly type: string; readonly attributes: ReadonlyMap<string, string> },
  { runTags, imageTags, given, spot }: TagOptions,
  added: Record<string, readonly string[]>,
): readonly (readonly [TagBlock, Tags])[] {
  const { attributes } = source;
  const isGiven = (block: TagBlock) => {
    const variable = block === 'tag' ? 'ami_tags' : 'run_tags';
    // Else nothing marks the image until its last tags are written.
    if (block === 'tag' && attributes.has('skip_ami_run_tags')) return false;
    return given.has(variable) && new RegExp(`\\bvar\\.${variable}\\b`).test(attributes.get(`${block}s`) ?? '');
  };
  const blocks = (BLOCKS[source.type] ?? []).filter(block => !isGiven(block) && (block !== 'spot_tag' || spot.includes(source.name)));
  if (blocks.length > 0) added[source.name] = blocks.map(block => `${block}s`);
  return blocks.map(block => {
    // A tag `Name` of the template stays; the image gets its own when it joins the family.
    const { Name = '', ...others } = block === 'tag' ? { ...runTags, ...imageTags, Name: undefined } : runTags;
    const keepsName = Name === '' || block === 'snapshot_tag' || attributes.has(`${block}s`) || attributes.has(`${block}{`);
    return [block, keepsName ? others : { Name, ...others }] as const;
  });
}

/** The plugin calls the key of a volume's tag `name`, except for amazon-ebsvolume. */
const keyName = (block: TagBlock, type: string): string => (block === 'run_volume_tag' && type !== 'amazon-ebsvolume' ? 'name' : 'key');

/** In HCL `${` would be an interpolation. */
const escaped = (value: string): string => value.replace(/([$%])\{/g, '$1$1{');
const quoted = (value: string): string => escaped(JSON.stringify(value));

function editHcl({ path, text }: { path: string; text: string }, options: TagOptions, added: Record<string, readonly string[]>): Edit {
  const sources = parseHcl(text).blocks.filter(({ type }) => type === 'source');
  const inserted: { line: number; count: number }[] = [];
  const parts: string[] = [];
  let at = 0;
  const sourceOf = (block: HclBlock) => {
    const [type = '', name = ''] = block.labels;
    return { name: `${type}.${name}`, type, attributes: flattened(block) };
  };
  for (const block of sources) {
    const source = sourceOf(block);
    const lines = missingTags(source, options, added).flatMap(([name, tags]) =>
      Object.entries(tags).flatMap(([key, value]) => [
        `  ${name} {`,
        `    ${keyName(name, source.type)} = ${quoted(key)}`,
        `    value = ${quoted(value)}`,
        '  }',
      ]),
    );
    if (lines.length === 0) continue;
    const isOneLine = !text.slice(block.start, block.end).includes('\n');
    parts.push(
      text.slice(at, block.start),
      `\n${lines.join('\n')}`,
      ...(isOneLine ? ['\n', text.slice(block.start, block.end), '\n'] : []),
    );
    inserted.push({ line: text.slice(0, block.start).split('\n').length, count: lines.length + (isOneLine ? 2 : 0) });
    at = isOneLine ? block.end : block.start;
  }
  // Files next to the copy are those of the template, but a build may write there.
  return { path, text: replaceName([...parts, text.slice(at)].join(''), 'path.root', quoted(options.folder)), inserted };
}

type Json = Record<string, unknown>;

function editJson({ path, text }: { path: string; text: string }, options: TagOptions, added: Record<string, readonly string[]>): Edit {
  const same = { path, text, inserted: [] };
  let json: { builders?: unknown; source?: Record<string, Record<string, Json | Json[]>> } | null;
  try {
    json = JSON.parse(
      text.replace(/\$\{\s*path\.root\s*\}|\{\{\s*template_dir\s*\}\}/g, () => JSON.stringify(options.folder).slice(1, -1)),
    );
  } catch {
    return same;
  }
  const isHcl = /\.pkr\.json$/.test(path);
  const builders = (Array.isArray(json?.builders) ? (json.builders as Json[]) : []).map(block => ({
    type: String(block['type']),
    name: String(block['name'] ?? block['type']),
    block,
  }));
  const sources = Object.entries(json?.source ?? {}).flatMap(([type, named]) =>
    Object.entries(named).flatMap(([name, blocks]) => [blocks].flat().map(block => ({ type, name: `${type}.${name}`, block }))),
  );
  for (const { type, name, block } of [...builders, ...sources]) {
    const attributes = new Map(Object.entries(block).map(([key, value]) => [key, JSON.stringify(value)]));
    for (const [tag, tags] of missingTags({ name, type, attributes }, options, added)) {
      const written = isHcl ? escaped : (value: string) => value;
      const own = Object.entries(tags).map(([key, value]) => ({ [keyName(tag, type)]: written(key), value: written(value) }));
      block[tag] = [...[block[tag] ?? []].flat(), ...own];
    }
  }
  return { ...same, text: JSON.stringify(json, undefined, 2) };
}

/** The line of the file of the repository. */
export function originalLine(line: number, { inserted }: Pick<Edit, 'inserted'>): number {
  let shift = 0;
  for (const { line: behind, count } of inserted) {
    if (line <= behind + shift) break;
    if (line <= behind + shift + count) return behind;
    shift += count;
  }
  return line - shift;
}

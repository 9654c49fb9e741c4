import { describe, expect, test } from '@jest/globals';
import { parseHcl, replaceName } from '../../src/image-build/rules/hcl.ts';
import { addTags, originalLine, type TagOptions } from '../../src/image-build/rules/template-tags.ts';

const OPTIONS: TagOptions = {
  runTags: { Name: 'ami-action build of web', 'x:build': 'b1' },
  imageTags: { Name: 'web-1', 'x:for-family': 'web' },
  given: new Set<string>(),
  spot: [],
  folder: '/work/images',
};
const edited = (text: string, more: Partial<TagOptions> = {}, path = '/work/images/a.pkr.hcl') => {
  const { edits, added } = addTags([{ path, text }], { ...OPTIONS, ...more });
  return { text: edits[0]?.text, inserted: edits[0]?.inserted ?? [], added };
};
/** The tags of each kind of block in the first source. */
const blocksOf = (text = '') =>
  (parseHcl(text).blocks.find(({ type }) => type === 'source')?.blocks ?? []).map(({ type, attributes }) =>
    [type, ...[...attributes].map(([name, { value }]) => `${name}=${value}`)].join(' '),
  );

describe('tags are added', () => {
  test('to a source that takes none, and everything else stays', () => {
    const text = 'source "amazon-ebs" "web" { # a comment\n  region = "x"\n}\nbuild {\n  sources = ["source.amazon-ebs.web"]\n}\n';
    const { text: after = '', added } = edited(text);
    expect(blocksOf(after)).toEqual([
      'run_tag key="Name" value="ami-action build of web"',
      'run_tag key="x:build" value="b1"',
      'run_volume_tag name="Name" value="ami-action build of web"',
      'run_volume_tag name="x:build" value="b1"',
      'tag key="x:build" value="b1"',
      'tag key="x:for-family" value="web"',
    ]);
    expect(added).toEqual({ 'amazon-ebs.web': ['run_tags', 'run_volume_tags', 'tags'] });
    expect(after.replace(/\n {2}(run_tag|run_volume_tag|tag) \{\n.*\n.*\n {2}\}/g, '')).toBe(text);
  });

  test('not where the template takes them from the action, and to the rest of it', () => {
    const text = 'source "amazon-ebs" "web" {\n  run_tags = var.run_tags\n  tags = merge(var.ami_tags, { a = "b" })\n}\n';
    const given = new Set(['run_tags', 'ami_tags']);
    expect(edited(text, { given }).added).toEqual({ 'amazon-ebs.web': ['run_volume_tags'] });
    expect(edited(text).added).toEqual({ 'amazon-ebs.web': ['run_tags', 'run_volume_tags', 'tags'] });
    expect(edited(text.replace('tags = var.run_tags', 'tags = var.run_tags\n  run_volume_tags = var.run_tags'), { given })).toEqual({
      ...{ text: undefined, inserted: [], added: {} },
    });
    // Without run tags on the image, nothing would mark it until its last tags are written.
    expect(edited(`${text.slice(0, -2)}  skip_ami_run_tags = true\n}\n`, { given }).added).toEqual({
      'amazon-ebs.web': ['run_volume_tags', 'tags'],
    });
  });

  test('a Name of the template stays', () => {
    for (const own of [
      'run_tags = { Name = "own" }',
      'run_tag {\n  key = "Name"\n  value = "own"\n}',
      'dynamic "run_tag" {\n  for_each = {}\n}',
    ])
      expect(blocksOf(edited(`source "amazon-ebs" "web" {\n${own}\n}\n`).text)).not.toContain(
        'run_tag key="Name" value="ami-action build of web"',
      );
  });

  test.each<[string, readonly string[]]>([
    ['amazon-ebs', ['run_tags', 'run_volume_tags', 'spot_tags', 'tags']],
    ['amazon-ebssurrogate', ['run_tags', 'run_volume_tags', 'spot_tags', 'snapshot_tags', 'tags']],
    ['amazon-ebsvolume', ['run_tags', 'run_volume_tags', 'spot_tags']],
    ['amazon-instance', ['run_tags', 'spot_tags', 'tags']],
  ])('to %s: %j', (type, attributes) => {
    const text = `source "${type}" "web" {\n}\n`;
    expect(edited(text, { spot: [`${type}.web`] }).added).toEqual({ [`${type}.web`]: attributes });
    expect(edited(text).added).toEqual({ [`${type}.web`]: attributes.filter(name => name !== 'spot_tags') });
  });

  test('to no other source', () => {
    expect(edited('source "amazon-chroot" "a" {\n}\nsource "googlecompute" "b" {\n}\n')).toEqual({
      text: undefined,
      inserted: [],
      added: {},
    });
  });

  test('to a block of one line, which must stay valid', () => {
    const { text = '' } = edited('source "amazon-ebs" "web" { region = "x" }\n', { runTags: { Name: '', a: 'b' } });
    expect(text).toMatch(/\{\n {2}run_tag \{[\s\S]*\n {2}\}\n region = "x" \n\}\n$/);
  });

  test('with values that HCL would read as expressions', () => {
    const { text = '' } = edited('source "amazon-ebs" "web" {\n}\n', { runTags: { Name: '', 'a"b': '${x} %{y} \\ "q"' } });
    expect(blocksOf(text)[0]).toBe('run_tag key="a\\"b" value="$${x} %%{y} \\\\ \\"q\\""');
  });

  test('to legacy JSON, next to its own', () => {
    const builder = {
      type: 'amazon-ebs',
      run_tags: { Name: 'own' },
      tag: [{ key: 'a', value: 'b' }],
      user_data_file: '{{template_dir}}/x',
    };
    const { text = '', added } = edited(JSON.stringify({ builders: [builder, { type: 'docker' }] }), {}, '/work/images/a.json');
    const { builders } = JSON.parse(text);
    expect(builders[0]).toMatchObject({
      run_tags: { Name: 'own' },
      run_tag: [{ key: 'x:build', value: 'b1' }],
      run_volume_tag: [
        { name: 'Name', value: 'ami-action build of web' },
        { name: 'x:build', value: 'b1' },
      ],
      tag: [
        { key: 'a', value: 'b' },
        { key: 'x:build', value: 'b1' },
        { key: 'x:for-family', value: 'web' },
      ],
      user_data_file: '/work/images/x',
    });
    expect(builders[1]).toEqual({ type: 'docker' });
    expect(added).toEqual({ 'amazon-ebs': ['run_tags', 'run_volume_tags', 'tags'] });
  });

  test('to HCL as JSON', () => {
    const json = { source: { 'amazon-ebs': { web: { user_data: '${file("${path.root}/x")}' } } } };
    const { text = '' } = edited(JSON.stringify(json), { runTags: { Name: '', a: '${b}' } }, '/work/images/a.pkr.json');
    expect(JSON.parse(text).source['amazon-ebs'].web).toMatchObject({
      run_tag: [{ key: 'a', value: '$${b}' }],
      user_data: '${file("/work/images/x")}',
    });
  });

  test('to no var file, and to no file that is broken', () => {
    expect(edited('source "amazon-ebs" "web" {\n}\n', {}, '/work/images/a.auto.pkrvars.hcl').added).toEqual({});
    expect(edited('{', {}, '/work/images/a.json').added).toEqual({});
  });
});

test('path.root stays the directory of the template: in code and interpolations, and nowhere else', () => {
  const text = `a = path.root
b = "\${path.root}/x path.root $\${path.root} \${ f("\${path.root}") }"
# path.root
c = <<-EOT
  path.root \${path.root}
  EOT
d = local.path.root + path.root_x + my-path.root
`;
  expect(replaceName(text, 'path.root', '"/t"')).toBe(`a = "/t"
b = "\${"/t"}/x path.root $\${path.root} \${ f("\${"/t"}") }"
# path.root
c = <<-EOT
  path.root \${"/t"}
  EOT
d = local.path.root + path.root_x + my-path.root
`);
});

test('lines of the copy are named as those of the repository', () => {
  const text = 'source "amazon-ebs" "a" {\n}\nsource "amazon-ebs" "b" {\n}\nbuild {}\n';
  const { text: after = '', inserted } = edited(text);
  const line = (part: string) => after.split('\n').findIndex(one => one.startsWith(part)) + 1;
  for (const [part, original] of [
    ['source "amazon-ebs" "a"', 1],
    ['source "amazon-ebs" "b"', 3],
    ['build', 5],
  ] as const)
    expect([part, originalLine(line(part), { inserted })]).toEqual([part, original]);
  expect(originalLine(4, { inserted })).toBe(1);
});

import { formatCount } from '../../kit/format.ts';
import { code, text } from '../../kit/markdown.ts';
import type { CommitRange } from '../../model/commits-served.ts';
import { type Image, identity, type TagScheme } from '../../model/image.ts';

/** Images, groups and parameters as people read them: version first, the ID as a link into the console of AWS. */

/** The version, else the commit, else the ID. */
export const versionOf = (image: Image, scheme: TagScheme): string =>
  identity(image, scheme, 'version') ?? identity(image, scheme, 'commit')?.slice(0, 7) ?? image.id;

/** `web 1.3.0` */
export function nameOf(image: Image, scheme: TagScheme): string {
  const family = identity(image, scheme, 'family');
  return family === undefined ? image.id : `${family} ${versionOf(image, scheme)}`;
}

const consoleOf = (region: string, service: string, path: string): string => {
  const domain = region.startsWith('cn-') ? 'amazonaws.cn' : region.startsWith('us-gov-') ? 'amazonaws-us-gov.com' : 'aws.amazon.com';
  return `https://${region}.console.${domain}/${service}/${path}`;
};

const link = (label: string, url: string): string => `[${code(label)}](${url})`;

export const imageLink = (id: string, region: string): string =>
  link(id, consoleOf(region, 'ec2', `home?region=${region}#ImageDetails:imageId=${id}`));

export const groupLink = (name: string, region: string): string =>
  link(name, consoleOf(region, 'ec2', `home?region=${region}#AutoScalingGroupDetails:id=${encodeURIComponent(name)};view=details`));

/** The console decodes the name twice. */
export const parameterLink = (name: string, region: string): string => {
  const encoded = encodeURIComponent(encodeURIComponent(name));
  return link(name, consoleOf(region, 'systems-manager', `parameters/${encoded}/description?region=${region}`));
};

const MOST_TITLES = 5;

/** `**3 commits** (link): Serve /health (#41), monalisa · ...` */
export function formatCommits(label: string, link: string | undefined, range: CommitRange | undefined): string {
  if (range === undefined || range.total === 0) return link === undefined ? '' : `**${label}:** ${link}`;
  const titles = range.newest.slice(0, MOST_TITLES).map(({ title, author }) => `${text(title)}${author === '' ? '' : `, ${text(author)}`}`);
  const more = range.total > titles.length ? [`${range.total - titles.length} more`] : [];
  return `**${label}: ${formatCount(range.total, 'commit')}**${link === undefined ? '' : ` (${link})`}: ${[...titles, ...more].join(' · ')}`;
}

/** A cell with version and commit. */
export function versionCell(image: Image | undefined, scheme: TagScheme): string {
  if (image === undefined) return '';
  const [version, commit] = [identity(image, scheme, 'version'), identity(image, scheme, 'commit')];
  return [version === undefined ? '' : text(version), commit === undefined ? '' : code(commit.slice(0, 7))]
    .filter(part => part !== '')
    .join(' · ');
}

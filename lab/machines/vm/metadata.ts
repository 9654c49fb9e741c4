import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { About, GuestSpec } from '../hypervisor.ts';

/** The address that the network of a guest gives it: every guest has a network of its own. */
export const GUEST_ADDRESS = '169.254.10.15';
export const GUEST_MAC = '52:54:00:12:34:56';

/** What the service tells of an instance. */
type Described = Pick<GuestSpec, 'instanceId' | 'address' | 'authorizedKeys' | 'userData' | 'about'>;

/**
 * The instance metadata service, version 2: a token by PUT, then answers to requests that show it.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
export function metadataService(spec: Described): (request: IncomingMessage, response: ServerResponse) => void {
  const tree = treeOf(spec);
  const tokens = new Set<string>();
  return (request, response) => {
    const answer = (status: number, text = '') => {
      response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' });
      response.end(text);
    };
    const url = request.url ?? '';
    if (url === '/latest/api/token') {
      if (request.method !== 'PUT') return answer(405);
      if (!/^\d+$/.test(String(request.headers['x-aws-ec2-metadata-token-ttl-seconds'] ?? ''))) return answer(400);
      const token = randomBytes(32).toString('base64');
      tokens.add(token);
      return answer(200, token);
    }
    const shown = request.headers['x-aws-ec2-metadata-token'];
    const mayRead = shown === undefined ? spec.about?.tokens === 'optional' : tokens.has(String(shown));
    if (!mayRead) return answer(401);
    const found = read(tree, url.replace(/^\/[^/]+\/?/, ''));
    return found === undefined ? answer(404) : answer(200, found);
  };
}

/** A value, or the names below a path: folders end with a slash. */
function read(tree: ReadonlyMap<string, string>, path: string): string | undefined {
  const value = tree.get(path);
  if (value !== undefined) return value;
  const folder = path === '' || path.endsWith('/') ? path : `${path}/`;
  const below = [...tree.keys()].filter(key => key.startsWith(folder)).map(key => key.slice(folder.length));
  return below.length === 0 ? undefined : [...new Set(below.map(key => /^[^/]*\/?/.exec(key)?.[0] ?? ''))].join('\n');
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html */
function treeOf({ instanceId, address, authorizedKeys, userData, about }: Described): ReadonlyMap<string, string> {
  const { imageId = 'ami-0', instanceType = 't3.micro', zone = 'eu-central-1a', account = '' } = about ?? {};
  const region = zone.slice(0, -1);
  const hostname = `ip-${address.replaceAll('.', '-')}.${region}.compute.internal`;
  const network = `meta-data/network/interfaces/macs/${GUEST_MAC}`;
  const tree = new Map([
    ['meta-data/ami-id', imageId],
    ['meta-data/hostname', hostname],
    ['meta-data/instance-id', instanceId],
    ['meta-data/instance-type', instanceType],
    ['meta-data/local-hostname', hostname],
    ['meta-data/local-ipv4', GUEST_ADDRESS],
    ['meta-data/mac', GUEST_MAC],
    [`${network}/device-number`, '0'],
    [`${network}/local-ipv4s`, GUEST_ADDRESS],
    [`${network}/mac`, GUEST_MAC],
    ['meta-data/placement/availability-zone', zone],
    ['meta-data/placement/region', region],
    [
      'dynamic/instance-identity/document',
      JSON.stringify({ accountId: account, region, instanceId, imageId, instanceType, availabilityZone: zone, privateIp: GUEST_ADDRESS }),
    ],
  ]);
  const [key] = authorizedKeys;
  if (key !== undefined) {
    tree.set('meta-data/public-keys/', '0=key');
    tree.set('meta-data/public-keys/0/openssh-key', key);
  }
  if (userData !== undefined) tree.set('user-data', userData);
  if (about?.role !== undefined) setRole(tree, about.role);
  return tree;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html */
function setRole(tree: Map<string, string>, { name, accessKeyId, secretAccessKey, token }: NonNullable<About['role']>): void {
  const keys = { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token: token };
  const of = { Code: 'Success', Type: 'AWS-HMAC', LastUpdated: '2026-01-01T00:00:00Z', Expiration: '2099-01-01T00:00:00Z' };
  tree.set('meta-data/iam/security-credentials/', name);
  tree.set(`meta-data/iam/security-credentials/${name}`, JSON.stringify({ ...of, ...keys }));
}

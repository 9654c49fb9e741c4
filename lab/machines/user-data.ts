/** The parts of user data that the lab runs: scripts and boothooks. https://cloudinit.readthedocs.io/en/latest/explanation/format.html */
export interface UserData {
  readonly scripts: readonly string[];
  /** Run at every boot, before anything else. */
  readonly boothooks: readonly string[];
  /** Parts that are not run, as warnings in the wording of cloud-init. */
  readonly unhandled: readonly string[];
}

interface Part {
  readonly type: string;
  readonly body: string;
}

export function readUserData(text: string): UserData {
  const parts = partsOf(text);
  const scripts = parts.filter(isScript).map(({ body }) => body);
  const boothooks = parts.filter(isBoothook).map(({ body }) => body.replace(/^#cloud-boothook\n/, ''));
  const others = parts.filter(part => !isScript(part) && !isBoothook(part) && part.body.trim() !== '');
  return { scripts, boothooks, unhandled: others.map(complaintAbout) };
}

function partsOf(text: string): readonly Part[] {
  const { headers, body } = splitHeaders(text);
  const type = headers.get('content-type');
  if (type === undefined || !/^multipart\//i.test(type)) return [{ type: 'text/plain', body: text }];
  const boundary = /boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (boundary === undefined) return [{ type: 'multipart without boundary', body: text }];
  const [, ...pieces] = `\n${body}`.split(`\n--${boundary}`);
  return pieces.filter(piece => !piece.startsWith('--')).map(piece => partOf(piece.replace(/^[ \t\r]*\n/, '')));
}

function partOf(text: string): Part {
  const { headers, body } = splitHeaders(text);
  const type = (headers.get('content-type') ?? 'text/plain').replace(/;.*/s, '').trim().toLowerCase();
  const isBase64 = headers.get('content-transfer-encoding')?.trim().toLowerCase() === 'base64';
  return { type, body: isBase64 ? Buffer.from(body, 'base64').toString() : body };
}

/** Headers end at the first empty line. A line that starts with a blank continues the previous one. */
function splitHeaders(text: string): { headers: ReadonlyMap<string, string>; body: string } {
  const unix = text.replace(/\r\n/g, '\n');
  const end = unix.indexOf('\n\n');
  const head = end < 0 ? unix : unix.slice(0, end);
  const lines = head.replace(/\n[ \t]+/g, ' ').split('\n');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) headers.set(name.toLowerCase(), value);
  }
  return { headers, body: end < 0 ? '' : unix.slice(end + 2) };
}

/** A script is identified by its first line or its type, as in cloud-init. */
const isScript = ({ type, body }: Part): boolean =>
  type === 'text/x-shellscript' || ((type === 'text/plain' || type === '') && body.startsWith('#!'));

const isBoothook = ({ type, body }: Part): boolean => type === 'text/cloud-boothook' || body.startsWith('#cloud-boothook');

const complaintAbout = ({ type, body }: Part): string => {
  const kind = body.startsWith('#cloud-config') ? 'text/cloud-config' : type;
  return `Unhandled user data (${kind}): the lab's cloud-init runs scripts and boothooks only`;
};

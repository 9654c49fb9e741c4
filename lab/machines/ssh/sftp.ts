import { lstat, mkdir, readlink, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { posix } from 'node:path';
import ssh2, { type Attributes, type SFTPWrapper } from 'ssh2';
import { resolveIn } from '../rooted.ts';
import { attributes, listing, openFile, setAttributes, statusOf } from './files.ts';
import { type Handles, handleBook } from './handles.ts';

const { STATUS_CODE } = ssh2.utils.sftp;
/** Maximum size of one read. A client that requests more reads again. */
const READ_BYTES = 262_144;

interface Transfer {
  readonly sftp: SFTPWrapper;
  /** Requests run one after the other, so that writes and closes keep their order. */
  answer(id: number, work: () => Promise<unknown>): void;
  /** Answers with a plain OK. */
  carryOut(id: number, work: () => Promise<unknown>): void;
  /** The path on the host for a path of the client. `keepLast`: the link itself, not its target. */
  at(path: string, keepLast?: boolean): Promise<string>;
  absolute(path: string): string;
  readonly handles: Handles;
}

/** SFTP in the guest's file system, including its mounts. The host may have no sftp-server. */
export function serveSftp(sftp: SFTPWrapper, guestRoot: () => Promise<string>, home: () => Promise<string>): void {
  let start = '/';
  let line: Promise<unknown> = home().then(path => {
    start = path;
  });
  const answer = (id: number, work: () => Promise<unknown>) => {
    line = line.then(work).catch((cause: Error) => sftp.status(id, statusOf(cause), cause.message));
  };
  const absolute = (path: string) => posix.resolve(start, path);
  const transfer: Transfer = {
    ...{ sftp, answer, absolute, handles: handleBook() },
    carryOut: (id, work) => answer(id, () => work().then(() => sftp.status(id, STATUS_CODE.OK))),
    at: async (path, keepLast) => resolveIn(await guestRoot(), absolute(path), keepLast),
  };
  serveContents(transfer);
  serveDirectories(transfer);
  serveNames(transfer);
  // Without the end a client waits forever. Without the status scp reports a failure.
  sftp.on('end', () => {
    void line.then(transfer.handles.closeAll);
    closeSession(sftp);
    sftp.end();
  });
  sftp.on('error', () => {});
}

/** ssh2 has `exit` for a channel only, not for an SFTP session. */
function closeSession(sftp: SFTPWrapper): void {
  const session = sftp as unknown as { _protocol: { exitStatus(channel: number, status: number): void }; outgoing: { id: number } };
  session._protocol.exitStatus(session.outgoing.id, 0);
}

function serveContents({ sftp, answer, carryOut, at, handles }: Transfer): void {
  sftp.on('OPEN', (id, path, flags, asked: Partial<Attributes>) =>
    answer(id, async () => sftp.handle(id, handles.keep(await openFile(await at(path), flags, asked.mode)))),
  );
  sftp.on('READ', (id, handle, offset, length) =>
    answer(id, async () => {
      const wanted = Buffer.alloc(Math.min(length, READ_BYTES));
      const { bytesRead } = await handles.file(handle).read(wanted, 0, wanted.length, offset);
      if (bytesRead === 0) sftp.status(id, STATUS_CODE.EOF);
      else sftp.data(id, wanted.subarray(0, bytesRead));
    }),
  );
  sftp.on('WRITE', (id, handle, offset, data) => carryOut(id, () => handles.file(handle).write(data, 0, data.length, offset)));
  sftp.on('FSTAT', (id, handle) => answer(id, async () => sftp.attrs(id, attributes(await handles.file(handle).stat()))));
  sftp.on('FSETSTAT', (id, handle, asked: Partial<Attributes>) =>
    carryOut(id, async () => await setAttributes(`/proc/self/fd/${handles.file(handle).fd}`, asked)),
  );
  sftp.on('CLOSE', (id, handle) => carryOut(id, async () => await handles.close(handle)));
}

function serveDirectories({ sftp, answer, carryOut, at, handles }: Transfer): void {
  sftp.on('OPENDIR', (id, path) => answer(id, async () => sftp.handle(id, handles.keepListing(await listing(await at(path))))));
  sftp.on('READDIR', (id, handle) =>
    answer(id, async () => {
      const entries = handles.nextEntries(handle);
      if (entries.length === 0) sftp.status(id, STATUS_CODE.EOF);
      else sftp.name(id, entries);
    }),
  );
  sftp.on('MKDIR', (id, path, { mode = 0o755 }: Partial<Attributes>) =>
    carryOut(id, async () => await mkdir(await at(path), { mode: mode & 0o7777 })),
  );
  sftp.on('RMDIR', (id, path) => carryOut(id, async () => await rmdir(await at(path, true))));
}

function serveNames({ sftp, answer, carryOut, at, absolute }: Transfer): void {
  const named = (id: number, filename: string) => sftp.name(id, [{ filename, longname: filename, attrs: {} as Attributes }]);
  sftp.on('STAT', (id, path) => answer(id, async () => sftp.attrs(id, attributes(await stat(await at(path))))));
  sftp.on('LSTAT', (id, path) => answer(id, async () => sftp.attrs(id, attributes(await lstat(await at(path, true))))));
  sftp.on('SETSTAT', (id, path, asked: Partial<Attributes>) => carryOut(id, async () => await setAttributes(await at(path), asked)));
  sftp.on('REALPATH', (id, path) => answer(id, async () => named(id, absolute(path))));
  sftp.on('READLINK', (id, path) => answer(id, async () => named(id, await readlink(await at(path, true)))));
  sftp.on('REMOVE', (id, path) => carryOut(id, async () => await unlink(await at(path, true))));
  // SFTP 3 does not overwrite.
  sftp.on('RENAME', (id, from, to) =>
    carryOut(id, async () => {
      const target = await at(to, true);
      if (await lstat(target).catch(() => undefined)) throw new Error(`${to} exists`);
      await rename(await at(from, true), target);
    }),
  );
}

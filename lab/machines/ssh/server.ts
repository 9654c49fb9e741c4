import { createServer, type Socket } from 'node:net';
import ssh2, { type Connection } from 'ssh2';
import { readIn } from '../rooted.ts';
import { authorize } from './authorize.ts';
import { type Doorway, serveSession } from './session.ts';

/** SSH server of one guest. */
export interface SshDoor {
  /** Closes all connections. New ones are accepted. */
  hangUp(): void;
  close(): Promise<void>;
}

/** A server per guest, on the guest's own address and with the host keys of its disk. Resolves when it accepts connections: Packer waits 5 s after a refused one. */
export async function listenForSsh(doorway: Doorway): Promise<SshDoor> {
  const { address, disk } = doorway.spec;
  const sockets = new Set<Socket>();
  const server = new ssh2.Server({ hostKeys: await hostKeys(disk.path), ident: 'OpenSSH_9.2p1 Debian-2+deb12u7' }, client => {
    welcome(doorway, client);
  });
  // Nagle's algorithm costs 40 ms per round trip: a hundred small files by SFTP would take half a minute.
  const listener = createServer({ noDelay: true }, socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    server.injectSocket(socket);
  });
  await new Promise<void>((listening, failed) => {
    listener.once('error', failed).listen(doorway.port, address, listening);
  });
  const hangUp = () => {
    for (const socket of sockets) socket.destroySoon();
  };
  return {
    hangUp,
    close: () =>
      new Promise(closed => {
        listener.close(() => closed());
        hangUp();
      }),
  };
}

function welcome(doorway: Doorway, client: Connection): void {
  let user = 'root';
  client.on('authentication', context => {
    user = context.username;
    authorize(doorway.spec.disk.path, context).then(
      allowed => (allowed ? context.accept() : context.reject(['publickey'])),
      () => context.reject(['publickey']),
    );
  });
  client.on('session', accept => serveSession(doorway, user, accept()));
  // A client that disconnects early is normal.
  client.on('error', () => {});
}

async function hostKeys(root: string): Promise<string[]> {
  const files = ['ed25519', 'ecdsa', 'rsa'].map(type => readIn(root, `/etc/ssh/ssh_host_${type}_key`));
  const keys = (await Promise.all(files)).filter(key => key !== undefined && !(ssh2.utils.parseKey(key) instanceof Error));
  // An image may have lost its host keys. sshd would not start, which would hide the cause.
  return keys.length > 0 ? (keys as string[]) : [ssh2.utils.generateKeyPairSync('ed25519').private];
}

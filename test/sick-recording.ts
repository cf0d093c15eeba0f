import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Adds a bind mount of something deleted, and an sshfs of which nothing is known, to the recording of a host. */
export function makeSick(directory: string): void {
  const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'));
  // biome-ignore lint/suspicious/noExplicitAny: a recording is read here as an outside program would
  const table = manifest.entries.find(({ probe }: any) => probe.path === '/proc/self/mountinfo' && probe.take === undefined).answer;
  const file = join(directory, table.out.file);
  const text = readFileSync(file, 'latin1');
  // 27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
  const root = /^(\d+) \d+ \S+ \/\S* \/ /m.exec(text)?.[1];
  const bind = `900 ${root} 8:1 /srv/gone//deleted /mnt/bind\\040source rw - ext4 /dev/sda1 rw`;
  const sshfs = `901 ${root} 0:99 / /mnt/\\033[31mred\xff rw - fuse.sshfs host:/ rw,user_id=0,group_id=0`;
  writeFileSync(file, `${text}${bind}\n${sshfs}\n`, 'latin1');
}

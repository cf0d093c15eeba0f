/**
 * Error numbers of Linux (the asm-generic table: x86, arm, riscv, s390, ppc; not mips, sparc, alpha) and the
 * sentences under LC_ALL=C by which coreutils, findutils and busybox name them.
 */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EAGAIN: 11,
  EACCES: 13,
  ENODEV: 19,
  ENOTDIR: 20,
  ENOSYS: 38,
  ELOOP: 40,
  EOPNOTSUPP: 95,
  ECONNABORTED: 103,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  EHOSTDOWN: 112,
  ESTALE: 116,
  EUCLEAN: 117,
  ENOKEY: 126,
} as const;

const SENTENCES: ReadonlyMap<string, number> = new Map([
  // glibc
  ['Operation not permitted', ERRNO.EPERM],
  ['No such file or directory', ERRNO.ENOENT],
  ['Interrupted system call', ERRNO.EINTR],
  ['Input/output error', ERRNO.EIO],
  ['No such device or address', ERRNO.ENXIO],
  ['Resource temporarily unavailable', ERRNO.EAGAIN],
  ['Permission denied', ERRNO.EACCES],
  ['No such device', ERRNO.ENODEV],
  ['Not a directory', ERRNO.ENOTDIR],
  ['Function not implemented', ERRNO.ENOSYS],
  ['Too many levels of symbolic links', ERRNO.ELOOP],
  ['Operation not supported', ERRNO.EOPNOTSUPP],
  ['Software caused connection abort', ERRNO.ECONNABORTED],
  ['Transport endpoint is not connected', ERRNO.ENOTCONN],
  ['Connection timed out', ERRNO.ETIMEDOUT],
  ['Host is down', ERRNO.EHOSTDOWN],
  ['Stale file handle', ERRNO.ESTALE],
  ['Structure needs cleaning', ERRNO.EUCLEAN],
  ['Required key not available', ERRNO.ENOKEY],
  // musl, where it differs
  ['I/O error', ERRNO.EIO],
  ['Symbolic link loop', ERRNO.ELOOP],
  ['Connection aborted', ERRNO.ECONNABORTED],
  ['Socket not connected', ERRNO.ENOTCONN],
  ['Operation timed out', ERRNO.ETIMEDOUT],
  ['Stale NFS file handle', ERRNO.ESTALE],
]);

/** The number behind the sentence that ends a line, as in `stat: cannot read file system information for '/m': Input/output error`. */
export function errnoAtEnd(line: string): number | undefined {
  return SENTENCES.get(line.slice(line.lastIndexOf(': ') + 2).trimEnd());
}

export function errnoName(errno: number): string {
  const name = Object.entries(ERRNO).find(([, number]) => number === errno)?.[0];
  return name === undefined ? `error ${errno}` : `${name} (${errno})`;
}

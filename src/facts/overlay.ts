import { fromByteString, type Name, toByteString } from '../names.ts';
import type { Mount } from './mountinfo.ts';

export interface Layer {
  role: 'lowerdir' | 'upperdir' | 'workdir';
  /** As it was given. Relative to the working directory of whoever mounted it where it does not begin with a slash. */
  path: Name;
}

/**
 * The layers of an overlay, topmost lower first. Two kinds of escapes lie over each other (kernel fs/overlayfs/params.c): the
 * kernel's octal ones for the table, and below them backslashes before `:` and `,` that the mounter had to write.
 */
export function overlayLayers({ line }: Pick<Mount, 'line'>): Layer[] {
  // … - overlay ov rw,lowerdir=/l\134:c\134\054d:/b,upperdir=/u,workdir=/w   or   lowerdir+=/l:c\054d,datadir+=/data
  const options = line
    .slice(line.lastIndexOf(' ') + 1)
    .split(',')
    .map((option) => option.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))));
  return options.flatMap((option): Layer[] => {
    const [, name = '', value = ''] = /^(\w+\+?)=(.*)$/s.exec(option) ?? [];
    switch (name) {
      case 'lowerdir':
        // Two colons stand before a layer of data alone.
        return value
          .split(/(?<!\\):/)
          .filter((path) => path !== '')
          .map((path) => ({ role: 'lowerdir', path: withoutBackslashes(path) }));
      case 'lowerdir+':
      case 'datadir+':
        return [{ role: 'lowerdir', path: fromByteString(value) }];
      case 'upperdir':
      case 'workdir':
        return [{ role: name, path: withoutBackslashes(value) }];
      default:
        return [];
    }
  });
}

function withoutBackslashes(path: string): Name {
  return fromByteString(path.replace(/\\(.)/gs, '$1'));
}

export function isAbsolute({ path }: Layer): boolean {
  return toByteString(path).startsWith('/');
}

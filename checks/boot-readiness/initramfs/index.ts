/** What the next boot needs before the root is there. */
import { fromByteString, showName } from '../../../src/names.ts';
import { type BootFound, type Part, quote, type Sought } from '../data.ts';
import type { BootFacts } from '../facts.ts';
import { belowOf } from '../names/devices.ts';

export const initramfs: Part = {
  codes: {
    'initramfs-missing': '{subject}: this kernel is the newest in /boot and has no initramfs{empty}, while others have one',
    'initramfs-lacks': '{subject}: the root stands on {layer}, and this initramfs holds no {tool}',
  },
  byHand: {
    'initramfs-missing': 'make it anew with update-initramfs -c -k VERSION, or dracut, and look at the room in /boot first',
    'initramfs-lacks': 'what it is made of is for its own tools to say: look at their configuration and make it anew',
  },
  seek,
};

/** Layers below the root by lsblk's types, and what opens each. */
const OPENERS: readonly [type: RegExp, layer: string, tool: string, path: RegExp][] = [
  [/^lvm$/, 'LVM', 'lvm', /(^|\/)s?bin\/lvm$/],
  [/^crypt$/, 'LUKS', 'cryptsetup', /(^|\/)(s?bin\/cryptsetup|systemd-cryptsetup|lib\/cryptsetup\/.*)$/],
  [/^raid\d+$/, 'an md array', 'mdadm', /(^|\/)s?bin\/mdadm$/],
  [/^mpath$/, 'multipath', 'multipath', /(^|\/)s?bin\/multipath$/],
];

function seek(facts: BootFacts): Sought {
  const { boot, initramfs: contents, table } = facts;
  const newest = boot.kernels[0];
  const unjudged: NonNullable<Sought['unjudged']> = [];
  if (boot.why !== undefined) {
    unjudged.push({ subject: { kind: 'directory', name: '/boot' }, why: boot.why });
  }
  if (newest === undefined) {
    return { findings: [], unjudged };
  }
  const image = boot.images.get(newest);
  const others = [...boot.images].filter(([version, { size }]) => version !== newest && boot.kernels.includes(version) && size > 0);
  if ((image === undefined || image.size === 0) && others.length > 0) {
    return { examined: 1, findings: [missing(newest, image !== undefined, facts)], unjudged };
  }
  if (contents === undefined || image === undefined) {
    return { examined: 1, findings: [], unjudged };
  }
  if (contents.why !== undefined) {
    unjudged.push({ subject: { kind: 'file', name: fromByteString(image.path) }, why: `what it holds: ${contents.why}` });
    return { findings: [], unjudged };
  }
  const root = table.mounts.find(({ id, point }) => table.visible.has(id) && point === '/');
  const own = facts.stack.devices.find(({ device }) => device === root?.device);
  const nodes = own === undefined ? [] : [own.node, ...belowOf(own.node, facts)];
  const types = facts.stack.devices.filter(({ node }) => nodes.includes(node));
  const findings = OPENERS.flatMap(([type, layer, tool, path]): BootFound[] => {
    const standsOn = types.find((each) => type.test(each.type));
    return standsOn === undefined || contents.paths.some((each) => path.test(each))
      ? []
      : [
          {
            code: 'initramfs-lacks',
            severity: 'warning',
            subject: { kind: 'file', name: fromByteString(image.path), key: tool },
            data: { file: image.path, line: null, edit: null, layer, tool },
            confidence: 'medium',
            evidence: [quote(facts.stack.seen, standsOn.line), quote(contents.seen, `${contents.paths.length} files, and none is ${tool}`)],
          },
        ];
  });
  return { examined: 1, findings, unjudged };
}

function missing(version: string, isEmpty: boolean, { boot }: BootFacts): BootFound {
  const listed = [...boot.images.values()].map(({ path, size }) => `${showName(fromByteString(path))} (${size} bytes)`);
  return {
    code: 'initramfs-missing',
    severity: 'warning',
    subject: { kind: 'kernel', name: fromByteString(version) },
    data: { file: null, line: null, edit: null, empty: isEmpty ? ' but an empty file' : '' },
    confidence: 'medium',
    evidence: [quote(boot.seen, `/boot/vmlinuz-${showName(fromByteString(version))}; ${listed.join(', ')}`)],
  };
}

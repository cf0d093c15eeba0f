import type { Part } from '../data.ts';
import { judgeDevice, seekDevices } from './detect.ts';
import { planDevice } from './plan.ts';

export const devices: Part = {
  codes: {
    'device-gone': '{subject}: the disk behind it is gone: {node}',
    'device-vanished-under-fs': '{subject}: {node} below it no longer leads to a disk; reads and writes fail',
    'device-suspended': '{subject}: {node} below it is suspended; whoever writes, or reads past the cache, waits for ever',
  },
  many: {
    'device-gone': 'have lost their disk',
    'device-vanished-under-fs': 'stand on a device that no longer leads to a disk',
    'device-suspended': 'stand on a suspended device',
  },
  judge: judgeDevice,
  seek: seekDevices,
  plan: (finding, facts) => planDevice(finding as Parameters<typeof planDevice>[0], facts),
};

import { readFileSync } from 'node:fs';
import { until, type World } from './world.ts';

const AUTOMOUNTER = `import os,sys,fcntl
point,packets,kind=sys.argv[1:]
r,w=os.pipe(); os.set_inheritable(w,True)
assert os.system("mount -t autofs systemd-1 %s -o fd=%d,pgrp=%d,minproto=5,maxproto=5,%s" % (point,w,os.getpgrp(),kind))==0
open(packets,'w').close()
while True:
  n=os.read(r,304)
  open(packets,'a').write('packet\\n')
  fcntl.ioctl(os.open(point,os.O_RDONLY),0x9361,int.from_bytes(n[8:12],'little'))`;

export interface Automount {
  point: string;
  /** How often it was asked. */
  asked(): number;
}

/** An automount that refuses each access: to its own path, or, an indirect one, to each name below it. */
export async function autofs(world: World, name: string, kind: 'direct' | 'indirect' = 'direct'): Promise<Automount> {
  const point = world.directory(name);
  const packets = world.path(`${name}.packets`);
  world.hold(['python3', '-c', AUTOMOUNTER, point, packets, kind]);
  await until(() => world.mountsAt(point).length === 1);
  return { point, asked: () => readFileSync(packets, 'utf8').split('\n').length - 1 };
}

import { readFileSync } from 'node:fs';
import { until, type World } from './world.ts';

const AUTOMOUNTER = `import os,sys,fcntl
r,w=os.pipe(); os.set_inheritable(w,True)
assert os.system("mount -t autofs systemd-1 %s -o fd=%d,pgrp=%d,minproto=5,maxproto=5,direct" % (sys.argv[1],w,os.getpgrp()))==0
open(sys.argv[2],'w').close()
while True:
  n=os.read(r,304)
  open(sys.argv[2],'a').write('packet\\n')
  fcntl.ioctl(os.open(sys.argv[1],os.O_RDONLY),0x9361,int.from_bytes(n[8:12],'little'))`;

/** A direct automount that refuses each access. Returns how often it was asked. */
export async function autofs(world: World, name: string): Promise<{ point: string; asked(): number }> {
  const point = world.directory(name);
  const packets = world.path(`${name}.packets`);
  world.hold(['python3', '-c', AUTOMOUNTER, point, packets]);
  await until(() => world.mountsAt(point).length === 1);
  return { point, asked: () => readFileSync(packets, 'utf8').split('\n').length - 1 };
}

#!/bin/sh
# Makes a fresh Debian tree ($1) the lab's guest. In the environment: LAB_KEY (public key that may log in), LAB_NODE (a node binary).
set -eu
root=$1
in_root() { chroot "$root" "$@"; }

rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -C lab -f "$root/etc/ssh/ssh_host_ed25519_key"
install -m 755 "$LAB_NODE" "$root/usr/local/bin/node"

echo lab > "$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 lab\n' > "$root/etc/hosts"
echo '/dev/vda / ext4 errors=remount-ro 0 1' > "$root/etc/fstab"
in_root systemd-machine-id-setup > /dev/null 2>&1

cat > "$root/etc/systemd/network/lan.network" <<'END'
[Match]
Name=e*
[Network]
DHCP=yes
LinkLocalAddressing=no
IPv6AcceptRA=no
END
cat > "$root/etc/ssh/sshd_config.d/lab.conf" <<'END'
UseDNS no
MaxSessions 100
MaxStartups 100
PrintLastLog no
END

for user in op plain; do
  in_root useradd --create-home --shell /bin/bash --password '*' "$user"
done
echo 'op ALL=(ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/op"
chmod 440 "$root/etc/sudoers.d/op"
for user in root op plain; do
  home=$(in_root sh -c "echo ~$user")
  install -d -m 700 "$root$home/.ssh"
  echo "$LAB_KEY" > "$root$home/.ssh/authorized_keys"
  in_root chown -R "$user:$user" "$home/.ssh"
done

# What costs seconds without KVM: programs for each device (read-ahead of NFS) and for each ssh connection (message of the day).
ln -s /dev/null "$root/etc/udev/rules.d/99-nfs.rules"
sed -i '/pam_motd/d; /pam_mail/d' "$root/etc/pam.d/sshd"

# Quiet after the boot, for the snapshot; what a test needs it starts.
in_root systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
  e2scrub_reap.service nfs-server.service nfs-blkmap.service multipathd.service multipathd.socket open-iscsi.service iscsid.socket \
  rpcbind.service rpcbind.socket smbd.service nmbd.service samba-ad-dc.service diod.service getty@tty1.service
in_root systemctl --quiet mask systemd-tmpfiles-clean.timer mdcheck_start.timer mdcheck_continue.timer mdmonitor-oneshot.timer \
  serial-getty@ttyS0.service systemd-logind.service
in_root systemctl --quiet enable systemd-networkd.service ssh.service

echo 'MODULES=list' > "$root/etc/initramfs-tools/conf.d/lab"
in_root update-initramfs -c -k all > /dev/null 2>&1

# The lab boots with an initramfs that mounts the root disk and nothing else: Debian's takes 10 s without KVM.
kernel=$(basename "$root"/lib/modules/*)
small=$root/tmp/initramfs
mkdir -p "$small/bin" "$small/dev" "$small/root" "$small/modules"
cp "$root/bin/busybox" "$small/bin/"
echo '#!/bin/busybox sh' > "$small/init"
echo '/bin/busybox mount -t devtmpfs dev /dev' >> "$small/init"
in_root modprobe --show-depends --set-version "$kernel" --all virtio_pci virtio_blk crc32c_generic ext4 | while read -r _ path; do
  cp "$root$path" "$small/modules/"
  echo "/bin/busybox insmod /modules/$(basename "$path") 2> /dev/null" >> "$small/init"
done
cat >> "$small/init" <<'END'
until [ -b /dev/vda ]; do /bin/busybox usleep 10000; done
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox umount /dev
exec /bin/busybox switch_root /root /sbin/init
END
chmod 755 "$small/init"
in_root sh -c 'cd /tmp/initramfs && find . | cpio --quiet -o -H newc' > "$root/boot/initrd-of-the-lab"
rm -r "$small"

/** For smbd: /srv/share, to anybody. */
export const SMB = `[global]
map to guest = bad user
disable netbios = yes
smb ports = 445
load printers = no
[share]
path = /srv/share
guest ok = yes
read only = no
force user = root
`;
